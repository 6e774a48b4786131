// Runs a search exactly and with the approximate index, and shows both results with their times.

import { post } from "./api.js";
import { rowName } from "./pictures.js";

const byId = (id) => document.getElementById(id);

/** Open the dialog and fill it; `body` is the search. */
export async function compare(body) {
  const dialog = byId("compare");
  byId("compare-words").textContent = "Running both searches …";
  byId("compare-lists").replaceChildren();
  dialog.showModal();
  try {
    const pure = body.keywords ? {} : { hybrid: false }; // captions are no matter of the index
    const approximate = await post("api/search", { ...body, exact: false, ...pure });
    const exact = await post("api/search", { ...body, exact: true, ...pure });
    byId("compare-words").textContent = inWords(exact, approximate);
    byId("compare-lists").replaceChildren(list("Exact", exact, approximate), list("Approximate", approximate, exact));
  } catch (error) {
    byId("compare-words").textContent = error.message;
  }
}

function inWords(exact, approximate) {
  const other = new Set(approximate.hits.map(({ id }) => id));
  const found = exact.hits.filter(({ id }) => other.has(id)).length;
  const times = `Exact ${ms(exact)}, approximate ${ms(approximate)}.`;
  if (approximate.exact) return `This search does not use an approximate index: both results are exact. ${times}`;
  return `The approximate search found ${found} of the ${exact.hits.length} nearest rows. ${times}`;
}

function ms({ seconds }) {
  return `${Math.max(0.1, seconds * 1000).toFixed(1)} ms`;
}

function list(title, { hits }, other) {
  const there = new Set(other.hits.map(({ id }) => id));
  const section = document.createElement("section");
  const heading = document.createElement("h3");
  const items = document.createElement("ol");
  heading.textContent = title;
  for (const hit of hits) {
    const item = document.createElement("li");
    item.textContent = `${hit.similarity.toFixed(4)}  ${rowName(hit)}`;
    if (!there.has(hit.id)) {
      const note = document.createElement("strong");
      note.textContent = " · only in this list";
      item.append(note);
    }
    items.append(item);
  }
  section.append(heading, items);
  return section;
}
