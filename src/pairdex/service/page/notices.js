// Texts around the results: the welcome, the status line, and errors.

import { isFiltered, isSearch } from "./state.js";
import { counted, duration, number } from "./wording.js";

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

/** Return what the status line says of the results: which rows, of how many, by what, and how long it took. */
export function describe(state, collection, { grid, answer }) {
  const count = grid.rows.length;
  if (answer === null || count === 0) return "";
  const rows = answer.total === null ? `The nearest ${number(count)} of ${number(collection.rows)}` : shown(count, answer.total);
  const facts = [`${rows}${HOW[answer.method](answer, state)}`, ...(isSearch(state) ? [answer.exact ? "exact" : "approximate"] : []), duration(answer.seconds)];
  return [facts.join(" · "), answer.note ? sentence(answer.note) : ""].filter(Boolean).join(". ");
}

const HOW = {
  vectors: () => "",
  hybrid: ({ words }) => ` by meaning and by the caption words ${listed(words)}`,
  keywords: ({ words }, state) => ` with ${listed(words)} in the caption${inOrder(state)}`,
  browse: (_, state) => `${isFiltered(state) ? " that match the filters" : ""}${inOrder(state)}`,
};

function shown(count, total) {
  return count === total ? `All ${counted(total, "row")}` : `${number(count)} of ${counted(total, "row")}`;
}

function inOrder({ sort }) {
  return sort ? `, ${sort.startsWith("-") ? `largest ${sort.slice(1)}` : `smallest ${sort}`} first` : "";
}

function listed(words) {
  return words.map((word) => `“${word}”`).join(", ");
}

export function clearNotice() {
  byId("notice").hidden = true;
}

export function welcome(collection, onExample) {
  const what = collection.pictures || collection.columns.some(({ name }) => name === "url") ? "pictures" : "rows";
  const by = collection.queries.includes("text") ? " by what they show" : "";
  byId("hero-title").textContent = `Search ${number(collection.rows)} ${what}${by}`;
  byId("hero-text").textContent = collection.queries.includes("text")
    ? "Type a description, drop a picture, or click a picture to see similar ones."
    : "Type words of the captions, filter, or click a row to see similar ones. Searching by meaning needs the model of this collection, which is not at hand.";
  byId("hero-model").textContent = collection.model?.knows ? sentence(collection.model.knows) : "";
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
