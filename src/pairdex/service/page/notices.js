// Texts around the results: the welcome, the status line, and errors.

import { isFiltered, isSearch } from "./state.js";

const byId = (id) => document.getElementById(id);

export function say(text) {
  byId("status").textContent = text;
}

/** `button` is `[label, action]` or null. */
export function notice(title, text, button = null) {
  byId("notice-title").textContent = title;
  byId("notice-text").textContent = text;
  byId("notice-button").hidden = button === null;
  byId("notice-button").textContent = button?.[0] ?? "";
  byId("notice-button").onclick = button?.[1] ?? null;
  byId("notice").hidden = false;
}

/** Return what the status line says of the results. */
export function describe(state, collection, { grid, answer, isMore }) {
  const count = grid.rows.length;
  if (answer === null || count === 0) return "";
  if (isSearch(state)) return found(count, collection, answer);
  return isFiltered(state) ? matching(count, !isMore) : "";
}

/** Return what is said of rows that match the filters, where nothing is searched for. */
function matching(count, isAll) {
  const rows = count === 1 ? "row" : "rows";
  return isAll ? `Showing all ${count.toLocaleString("en")} ${rows} that match the filters.` : `Showing ${count.toLocaleString("en")} ${rows} that match the filters.`;
}

export function clearNotice() {
  byId("notice").hidden = true;
}

export function welcome(collection, onExample) {
  const what = collection.pictures || collection.columns.some(({ name }) => name === "url") ? "pictures" : "rows";
  byId("hero-title").textContent = `Search ${collection.rows.toLocaleString("en")} ${what} by what they show`;
  byId("hero-text").textContent = collection.queries.includes("text")
    ? "Type a description, drop a picture, or click a picture to see similar ones."
    : "Click a picture to see similar ones. Searching by text needs the model of this collection, which is not available.";
  byId("examples").replaceChildren(...collection.examples.map((text) => exampleChip(text, onExample)));
  byId("hero").hidden = false;
  byId("heading").hidden = true;
}

/** `heading` is for screen readers. */
export function hideWelcome(heading) {
  byId("hero").hidden = true;
  byId("heading").textContent = heading;
  byId("heading").hidden = false;
}

/** Return "Nearest 24 of 5,000 rows · exact · 3 ms". */
function found(count, collection, { exact, seconds }) {
  const time = seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
  return `The nearest ${count.toLocaleString("en")} of ${collection.rows.toLocaleString("en")} · ${exact ? "exact" : "approximate"} · ${time}`;
}

/** Return a message of the service as a sentence. */
export function sentence(message) {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.?!]$/.test(message) ? "" : "."}`;
}

function exampleChip(text, onExample) {
  const chip = document.createElement("button");
  chip.type = "button";
  chip.className = "chip";
  chip.textContent = text;
  chip.addEventListener("click", () => onExample(text));
  return chip;
}
