// The tools around the results: collection, order, shuffle, layout, comparison, download.

import { compare } from "./compare.js";
import { listenToDownloads } from "./downloads.js";
import { showOrder } from "./order.js";
import { isBrowse, isDuplicates, isSearch } from "./state.js";
import { number } from "./wording.js";

const MOST_SEEDS = 1_000_000;
const byId = (id) => document.getElementById(id);

export function offerCollections(collections) {
  byId("collection").replaceChildren(...collections.map(({ name, rows }) => new Option(`${name} (${number(rows)})`, name)));
  byId("collection").hidden = collections.length < 2;
}

/** Show the tools that a state has a use for. */
export function showToolbar(state, collection) {
  const isMap = state.view === "atlas";
  const isGrouped = isDuplicates(state);
  byId("collection").value = collection.name;
  for (const radio of byId("layout-field").querySelectorAll("input")) radio.checked = radio.value === state.layout;
  byId("layout-field").hidden = isMap && !isSearch(state) && !isBrowse(state);
  byId("download").hidden = isGrouped || (!isSearch(state) && !isBrowse(state));
  byId("compare-open").hidden = !isSearch(state) || !collection.indexes.includes(state.on);
  byId("shuffle").hidden = isMap || isGrouped || isSearch(state) || isBrowse(state);
  byId("sort").hidden = isMap || isGrouped || isSearch(state);
  showOrder(byId("sort"), state, collection);
}

/**
 * `onCollection(name)`, `onOrder(sort)`, `onShuffle(seed)` and `onLayout(layout)` are called when one is chosen;
 * `body()` gives the request whose answer is shown, and `onError(error)` is called if it cannot be saved.
 */
export function listenToToolbar({ onCollection, onOrder, onShuffle, onLayout, body, onError }) {
  byId("collection").addEventListener("change", (event) => onCollection(event.target.value));
  byId("sort").addEventListener("change", (event) => onOrder(event.target.value));
  byId("shuffle").addEventListener("click", () => onShuffle(1 + Math.floor(Math.random() * MOST_SEEDS)));
  byId("layout-field").addEventListener("change", (event) => onLayout(event.target.value));
  byId("compare-open").addEventListener("click", () => compare(body()));
  byId("compare-close").addEventListener("click", () => byId("compare").close());
  listenToDownloads({ body, onError });
}
