// Connects the parts of the page: the state decides what is searched and shown; every action of the user makes a new state.

import { get, onTokenWanted } from "./api.js";
import { Atlas } from "./atlas.js";
import { compare } from "./compare.js";
import { Detail } from "./detail.js";
import { downloadRows, listenToDownloads } from "./downloads.js";
import { keepFocus } from "./focus.js";
import { Grid } from "./grid.js";
import { listenToKeys } from "./keys.js";
import { clearNotice, describe, hideWelcome, notice, say, sentence, welcome } from "./notices.js";
import { captionOf, showPicture } from "./pictures.js";
import { QueryBox } from "./query.js";
import { Refine } from "./refine.js";
import { Results } from "./results.js";
import { nameOf, rowOf } from "./rows.js";
import { isSafe, isSafeMode } from "./safe.js";
import { Selection } from "./selection.js";
import { PAGE_ROWS, address, addressBelow, isFiltered, isSearch, read, request, withQuery, write } from "./state.js";
import { DEFAULT_WEIGHT, Terms, withTerm } from "./terms.js";
import { askToken } from "./token.js";

const BUSY_MS = 120; // old results are dimmed if new ones take longer
const SUBJECT_SIZE = 96; // pixels
const byId = (id) => document.getElementById(id);
const mapToggle = byId("atlas-toggle");

let catalogue = null; // the response of GET /api/collections
let state = read();
let running = new AbortController();
let isTyping = false; // true if the last entry of the history is an unfinished text
let shownAs = null; // the state whose results are in the grid

const grid = new Grid(byId("results"), {
  onLike: (row, byKeyboard) => search({ like: row.id }, { focus: byKeyboard }),
  onDetails: (index) => openRow(grid.rows[index].id),
  onTerm: (row, sign) => addTerm({ like: row.id, weight: sign * DEFAULT_WEIGHT }),
  onSelect: (row) => selection.toggle(row.id),
});
const results = new Results(grid, { onError: showError, onPage });
const selection = new Selection({
  onLike: (ids) => search({ terms: ids.map((like) => ({ like, weight: 1 })) }, { focus: true }),
  onDownload: (ids) => downloadRows(collection(), ids).catch(showError),
  onOnly: (ids) => go({ ...withQuery(state, {}), where: `id IN (${ids.join(", ")})`, view: "" }),
  onHide: (ids) => change({ hidden: [...new Set([...state.hidden, ...ids])] }),
  onChange: (ids) => grid.select(ids),
});
const detail = new Detail({
  collection,
  safe: () => (state.safe === "0" ? { safe: false } : {}),
  canAdd: () => isSearch(state),
  onLike: (row) => search({ like: row.id }, { focus: true }),
  onText: (text) => search({ text }, { focus: true }),
  onTerm: (row, sign) => addTerm({ like: row.id, weight: sign * DEFAULT_WEIGHT }, { focus: true }),
  onRow: (id) => openRow(id),
  onStep: stepTo,
  onClose: closeRow,
});
const box = new QueryBox({
  onText: (text, { typing }) => typeText(text, typing),
  onPicture: (image) => search({ image }),
  onRemove: () => change({ like: null, image: null }),
});
const terms = new Terms({ onChange: (next) => change({ terms: next }), nameOf: (id) => nameOf(collection().name, id) });
const refine = new Refine({ onChange: (changes) => change(changes) });
const atlas = new Atlas({ onDetails: (row) => openRow(row.id), isShown });

function collection() {
  return catalogue.collections.find(({ name }) => name === state.collection) ?? catalogue.collections[0];
}

function change(changes, options) {
  go({ ...state, ...changes, row: null, shown: PAGE_ROWS }, options);
}

/** Another collection has other ids and columns. */
function choose(name) {
  go({ ...withQuery(state, {}), collection: name, on: "image", keywords: "", where: "", filters: {}, hidden: [] });
}

/** Add a term. Without a query, a first term that is wanted becomes the query. */
function addTerm(term, options) {
  if (!isSearch(state) && term.weight > 0) search({ like: term.like }, options);
  else change({ terms: withTerm(state.terms, term) }, options);
}

function toggleMap() {
  go({ ...state, row: null, view: state.view === "atlas" ? "" : "atlas" }, { focusMap: state.view !== "atlas" });
}

function isShown(row) {
  return !isSafeMode(state, collection()) || isSafe(row, collection());
}

function search(query, options) {
  go(withQuery(state, query), options);
}

function typeText(text, typing) {
  const next = { ...withQuery(state, { text }), terms: state.terms };
  const isSame = address(next) === address(state) && state.image === null;
  const replace = isTyping || isSame;
  isTyping = typing;
  if (typing && isSame) return;
  go(next, { replace, typing });
}

function openRow(id) {
  go({ ...state, row: id }, { isAbove: true, replace: false });
}

/** Leave the details of a row: back to the entry they were opened from, if there is one. */
function closeRow(id) {
  focusRow(id);
  if (state.row === null) return;
  if (history.state?.isAbove) history.back();
  else go({ ...state, row: null }, { replace: true });
}

function focusRow(id) {
  grid.focus(grid.rows.findIndex((row) => row.id === id));
}

/** Show the details of the row that is `step` further, from the next page if need be. */
async function stepTo(id, step) {
  const next = grid.rows.findIndex((row) => row.id === id) + step;
  if (next >= grid.rows.length) await results.more();
  if (state.row === id && grid.rows[next]) go({ ...state, row: grid.rows[next].id }, { replace: true });
}

function onPage(shown) {
  keep({ shown });
  say(describe(state, collection(), results));
}

/** Keep a change of the state that needs no new results. */
function keep(changes) {
  state = { ...state, ...changes };
  write(state, { replace: true });
}

function go(next, { replace = false, typing = false, isAbove = false, ...options } = {}) {
  if (address(next) === address(state) && next.image === state.image) replace = true;
  isTyping = typing;
  write(next, { replace, isAbove });
  show(next, { scroll: typing ? null : 0, ...options });
}

async function show(next, { scroll = 0, focus = false, focusMap = false } = {}) {
  state = next;
  if (catalogue === null) return; // once it has loaded, `start` shows the address
  const isSame = shownAs !== null && addressBelow(next) === addressBelow(shownAs) && next.image === shownAs.image;
  if (!isSame) {
    running.abort();
    running = new AbortController();
  }
  const { signal } = running;
  const busy = setTimeout(() => grid.setBusy(true), BUSY_MS);
  showControls();
  try {
    if (!isSame) await showResults(signal, { scroll, focusMap });
    await showDetail(signal);
    if (focus) grid.focus(0);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  } finally {
    clearTimeout(busy);
    if (!signal.aborted) grid.setBusy(false);
  }
}

function showControls() {
  document.title = state.text.trim() ? `${state.text.trim()} · pairdex` : "pairdex";
  box.allow(collection(), catalogue.limits.text_chars);
  box.show(state);
  terms.show(state, collection(), isSearch(state));
  refine.show(state, collection());
  grid.layOut(state.layout);
  for (const radio of byId("layout-field").querySelectorAll("input")) radio.checked = radio.value === state.layout;
  byId("collection").value = collection().name;
  const isMap = state.view === "atlas";
  mapToggle.setAttribute("aria-pressed", String(isMap));
  if (!isMap) atlas.hide();
  byId("download").hidden = !isSearch(state);
  byId("compare-open").hidden = !isSearch(state) || !collection().indexes.includes(state.on);
  byId("shuffle").hidden = isMap || isSearch(state) || isFiltered(state);
}

async function showResults(signal, { scroll, focusMap }) {
  shownAs = null;
  selection.set([]);
  showHeadings();
  showSubject(signal);
  if (state.view === "atlas" && !isSearch(state)) results.clear(collection());
  else await results.first(state, collection(), catalogue.limits, signal);
  clearErrors();
  say(describe(state, collection(), results));
  if (results.isEmpty && (isSearch(state) || isFiltered(state)) && state.view !== "atlas") noticeEmpty();
  if (state.view === "atlas") await atlas.show(collection(), grid.rows.map(({ id }) => id), signal, focusMap);
  if (scroll !== null) window.scrollTo(0, scroll);
  shownAs = state;
}

function showHeadings() {
  const text = state.text.trim();
  if (isSearch(state)) hideWelcome(text ? `Results for ${text}` : "Results");
  else if (state.view === "atlas") hideWelcome("Map");
  else if (isFiltered(state)) hideWelcome("Rows that match the filters");
  else welcome(collection(), (example) => search({ text: example }));
}

async function showDetail(signal) {
  if (state.row === null) {
    focusRow(detail.hide());
    return;
  }
  const index = grid.rows.findIndex(({ id }) => id === state.row);
  if (index >= 0) detail.show(grid.rows, index, results.isMore);
  else detail.show([await rowOf(collection().name, state.row, signal)], 0, false);
  document.title = `${byId("detail-caption").textContent} · pairdex`;
}

function noticeEmpty() {
  notice("No results", "No row matches the filters.", ["Remove the filters", () => change({ where: "", keywords: "", filters: {}, hidden: [] })]);
}

async function showSubject(signal) {
  if (state.like === null) return;
  try {
    const row = await rowOf(collection().name, state.like, signal);
    if (signal.aborted) return;
    showPicture(box.pictureSlot, row, collection(), SUBJECT_SIZE);
    box.nameSubject(captionOf(row));
  } catch (error) {
    if (error.name !== "AbortError") box.pictureSlot.replaceChildren(); // the search reports the error
  }
}

function showError(error) {
  say("");
  results.stop();
  if (error.field === "where" || error.field === "keywords") {
    refine.complain(sentence(error.message), error.field);
    if (grid.rows.length === 0) notice("Invalid filter", "The error is shown beside the filter.");
    return;
  }
  grid.show([], catalogue ? collection() : null);
  hideWelcome("Error");
  notice("Request failed", sentence(error.message), ["Try again", () => (catalogue ? show(state) : begin())]);
}

function clearErrors() {
  clearNotice();
  refine.complain("");
}

/** The element that gets the focus of one that went away. */
function focusFallback() {
  if (byId("detail").open) return byId("detail-close");
  if (!byId("atlas-frame").hidden && state.view === "atlas") return byId("atlas-map");
  return grid.rows.length ? byId("results") : byId("main");
}

async function start() {
  catalogue = await get("api/collections");
  byId("collection").replaceChildren(...catalogue.collections.map(({ name, rows }) => new Option(`${name} (${rows.toLocaleString("en")})`, name)));
  byId("collection").hidden = catalogue.collections.length < 2;
  await show(read(), { scroll: history.state?.scroll ?? 0 });
}

function begin() {
  clearNotice();
  start().catch(showError);
}

history.scrollRestoration = "manual";
onTokenWanted(askToken);
keepFocus(focusFallback);
byId("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ ...withQuery(state, {}), where: "", keywords: "", filters: {}, hidden: [], view: "", on: "image" });
});
window.addEventListener("popstate", () => {
  isTyping = false;
  show(read(), { scroll: history.state?.scroll ?? 0 });
});
mapToggle.addEventListener("click", toggleMap);
byId("collection").addEventListener("change", (event) => choose(event.target.value));
byId("shuffle").addEventListener("click", () => change({ seed: 1 + Math.floor(Math.random() * 1_000_000) }));
byId("layout-field").addEventListener("change", (event) => {
  keep({ layout: event.target.value });
  grid.layOut(state.layout);
});
byId("compare-open").addEventListener("click", () => compare(request(state, Math.min(state.shown, catalogue.limits.k), 0)));
byId("compare-close").addEventListener("click", () => byId("compare").close());
listenToDownloads({ body: () => request(state, grid.rows.length || 1, 0), onError: showError });
listenToKeys({ box, grid, toggleMap });
begin();
