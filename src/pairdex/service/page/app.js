// Connects the parts of the page: the state decides what is searched and shown; every action of the user makes a new state.

import { get, onTokenWanted } from "./api.js";
import { Atlas } from "./atlas.js";
import { Detail } from "./detail.js";
import { DetailRoute } from "./detail_route.js";
import { downloadRows } from "./downloads.js";
import { describeGroups, listenToDuplicates, showDuplicates } from "./duplicates.js";
import { keepFocus } from "./focus.js";
import { Grid } from "./grid.js";
import { listenToKeys } from "./keys.js";
import { clearNotice, describe, hideWelcome, notice, say, sentence, welcome } from "./notices.js";
import { QueryBox } from "./query.js";
import { Refine } from "./refine.js";
import { Results } from "./results.js";
import { nameOf } from "./rows.js";
import { isSafe, isSafeMode } from "./safe.js";
import { Selection } from "./selection.js";
import { NO_FILTERS, PAGE_ROWS, address, addressBelow, browse, isBrowse, isDuplicates, isFiltered, isSearch, read, request, withQuery, write } from "./state.js";
import { DEFAULT_WEIGHT, Terms, withTerm } from "./terms.js";
import { askToken } from "./token.js";
import { listenToToolbar, offerCollections, showToolbar } from "./toolbar.js";

const BUSY_MS = 120; // old results are dimmed if new ones take longer
const byId = (id) => document.getElementById(id);
const mapToggle = byId("atlas-toggle");

let catalogue = null; // the response of GET /api/collections
let state = read();
let running = new AbortController();
let isTyping = false; // true if the last entry of the history is an unfinished text
let shownAs = null; // the state whose results are in the grid

const grid = new Grid(byId("results"), {
  onLike: (row, byKeyboard) => search({ like: row.id }, { focus: byKeyboard }),
  onDetails: (index) => route.open(grid.rows[index].id),
  onTerm: (row, sign) => addTerm({ like: row.id, weight: sign * DEFAULT_WEIGHT }),
  onSelect: (row) => selection.toggle(row.id),
});
const results = new Results(grid, { onError: showError, onPage });
const route = new DetailRoute({ grid, results, state: () => state, collection, go });
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
  onRow: (id) => route.open(id),
  onStep: (id, step) => route.step(id, step),
  onClose: (id) => route.close(id),
});
const box = new QueryBox({
  onText: (text, { typing }) => typeText(text, typing),
  onPicture: (image) => search({ image }),
  onRemove: () => change({ like: null, image: null }),
});
const terms = new Terms({ onChange: (next) => change({ terms: next }), nameOf: (id) => nameOf(collection().name, id) });
const refine = new Refine({ onChange: (changes) => change(changes) });
const atlas = new Atlas({
  onDetails: (row) => route.open(row.id),
  onSelect: (ids, found) => selection.set(ids, found),
  onError: showError,
  isShown,
});

function collection() {
  return catalogue.collections.find(({ name }) => name === state.collection) ?? catalogue.collections[0];
}

function change(changes, options) {
  const next = { ...state, ...changes, row: null, shown: PAGE_ROWS };
  if (isDuplicates(state) && !isDuplicates(next)) next.view = "";
  go(next, options);
}

/** Another collection has other ids and columns. */
function choose(name) {
  go({ ...withQuery(state, {}), view: state.view, collection: name, on: "image", ...NO_FILTERS });
}

/** Add a term. Without a query, a first term that is wanted becomes the query. */
function addTerm(term, options) {
  if (!isSearch(state) && term.weight > 0) search({ like: term.like }, options);
  else change({ terms: withTerm(state.terms, term) }, options);
}

function toggleMap() {
  go({ ...state, row: null, view: state.view === "atlas" ? "" : "atlas" }, { focusMap: state.view !== "atlas" });
}

function toggleDuplicates() {
  go({ ...withQuery(state, {}), ...NO_FILTERS, hidden: state.hidden, view: isDuplicates(state) ? "" : "duplicates" });
}

function isShown(row) {
  return !isSafeMode(state, collection()) || isSafe(row, collection());
}

/** Whether texts can be searched for by meaning; otherwise the words in the box are keywords. */
function canEncode() {
  return collection().queries.includes("text");
}

/** A link may ask for a text where no model is at hand: its words are then looked up in the captions. */
function inCaptions(next) {
  const text = next.text.trim();
  return canEncode() || text === "" ? next : { ...next, text: "", keywords: next.keywords || text };
}

function search(query, options) {
  go({ ...withQuery(state, query), keywords: canEncode() ? state.keywords : "" }, options);
}

function typeText(text, typing) {
  const words = canEncode() ? { text } : { keywords: text.trim() };
  const next = { ...withQuery(state, words), terms: canEncode() ? state.terms : [] };
  const isSame = address(next) === address(state) && state.image === null;
  const replace = isTyping || isSame;
  isTyping = typing;
  if (typing && isSame) return;
  go(next, { replace, typing });
}

function onPage(shown) {
  keep({ shown });
  sayResults();
}

function sayResults() {
  say(isDuplicates(state) ? describeGroups(results.answer) : describe(state, collection(), results));
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
  state = next = inCaptions(next);
  const isSame = shownAs !== null && addressBelow(next) === addressBelow(shownAs) && next.image === shownAs.image;
  if (!isSame) {
    running.abort();
    running = new AbortController();
  }
  const { signal } = running;
  const busy = setTimeout(showBusy, BUSY_MS);
  showControls();
  try {
    if (!isSame) await showResults(signal, { scroll, focusMap });
    const name = await route.show(detail, signal);
    if (name !== null) document.title = `${name} · pairdex`;
    if (focus) grid.focus(0);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  } finally {
    clearTimeout(busy);
    if (!signal.aborted) grid.setBusy(false);
  }
}

function showBusy() {
  grid.setBusy(true);
  if (grid.rows.length === 0 && shownAs === null && state.view !== "atlas") say("Searching …");
}

function showControls() {
  const words = state.text.trim() || state.keywords;
  document.title = words ? `${words} · pairdex` : "pairdex";
  box.allow(collection(), catalogue.limits.text_chars);
  box.show(state);
  terms.show(state, collection(), isSearch(state));
  refine.show(state, collection());
  grid.layOut(state.layout);
  showToolbar(state, collection());
  showDuplicates(state);
  const isMap = state.view === "atlas";
  mapToggle.setAttribute("aria-pressed", String(isMap));
  if (!isMap) atlas.hide();
}

async function showResults(signal, { scroll, focusMap }) {
  shownAs = null;
  selection.set([]);
  showHeadings();
  box.showSubject(state, collection(), signal);
  if (state.view === "atlas" && !isSearch(state)) results.clear(collection());
  else await results.first(state, collection(), catalogue.limits, signal);
  clearErrors();
  sayResults();
  if (results.isEmpty && isDuplicates(state)) notice("No near-duplicates", "No two rows are within this distance of each other. A larger distance may find some.");
  else if (results.isEmpty && (isSearch(state) || isBrowse(state)) && state.view !== "atlas") noticeEmpty();
  if (state.view === "atlas") await atlas.show(collection(), grid.rows.map(({ id }) => id), signal, focusMap);
  if (scroll !== null) window.scrollTo(0, scroll);
  shownAs = state;
}

function showHeadings() {
  const text = state.text.trim();
  if (isSearch(state)) hideWelcome(text ? `Results for ${text}` : "Results");
  else if (state.view === "atlas") hideWelcome("Map");
  else if (isDuplicates(state)) hideWelcome("Near-duplicates");
  else if (isBrowse(state)) hideWelcome(state.keywords ? `Results for ${state.keywords}` : "Rows that match the filters");
  else welcome(collection(), typeExample);
}

function typeExample(text) {
  typeText(text, false);
}

function noticeEmpty() {
  notice("No results", "No row matches the filters.", ["Remove the filters", () => change({ ...NO_FILTERS, sort: state.sort })]);
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

/** Return the request whose answer is shown. */
function shownBody() {
  const count = Math.min(grid.rows.length || state.shown, catalogue.limits.k); // none if it is still running
  return isSearch(state) ? request(state, count, 0) : browse(state, count, null);
}

async function start() {
  catalogue = await get("api/collections");
  offerCollections(catalogue.collections);
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
  go({ ...withQuery(state, {}), ...NO_FILTERS, view: "", on: "image" });
});
window.addEventListener("popstate", () => {
  isTyping = false;
  show(read(), { scroll: history.state?.scroll ?? 0 });
});
mapToggle.addEventListener("click", toggleMap);
listenToToolbar({
  onCollection: choose,
  onOrder: (sort) => change({ sort, seed: 0 }),
  onShuffle: (seed) => change({ seed }),
  onLayout: (layout) => {
    keep({ layout });
    grid.layOut(layout);
  },
  body: shownBody,
  onError: showError,
});
listenToDuplicates({ grid, selection, state: () => state, collection, onThreshold: (within) => change({ within: String(within) }), onError: showError });
byId("duplicates-toggle").addEventListener("click", toggleDuplicates);
listenToKeys({ box, grid, toggleMap, toggleDuplicates });
begin();
