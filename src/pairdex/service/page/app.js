// Connects the parts of the page: the state decides what is searched and shown; every action of the user makes a new state.

import { get, onTokenWanted, post } from "./api.js";
import { Atlas } from "./atlas.js";
import { compare } from "./compare.js";
import { Detail } from "./detail.js";
import { listenToDownloads } from "./downloads.js";
import { Grid } from "./grid.js";
import { listenToKeys } from "./keys.js";
import { clearNotice, found, hideWelcome, matching, notice, say, sentence, welcome } from "./notices.js";
import { captionOf, showPicture } from "./pictures.js";
import { QueryBox } from "./query.js";
import { Refine } from "./refine.js";
import { nameOf, rowOf, sampleOf } from "./rows.js";
import { isSafe, isSafeMode } from "./safe.js";
import { PAGE_ROWS, address, browse, isFiltered, isSearch, read, request, withQuery, write } from "./state.js";
import { DEFAULT_WEIGHT, Terms, withTerm } from "./terms.js";
import { askToken } from "./token.js";

const BUSY_MS = 120; // old results are dimmed if new ones take longer
const SUBJECT_SIZE = 96; // pixels
const more = document.getElementById("more");
const mapToggle = document.getElementById("atlas-toggle");

let catalogue = null; // the response of GET /api/collections
let state = read();
let running = new AbortController();
let isTyping = false; // true if the last entry of the history is an unfinished text

const grid = new Grid(document.getElementById("results"), {
  onLike: (row, byKeyboard) => search({ like: row.id }, { focus: byKeyboard }),
  onDetails: (index) => detail.open(grid.rows, index),
  onTerm: (row, sign) => addTerm({ like: row.id, weight: sign * DEFAULT_WEIGHT }),
});
const detail = new Detail({
  collection,
  safe: () => (state.safe === "0" ? { safe: false } : {}),
  canAdd: () => isSearch(state),
  onLike: (row) => search({ like: row.id }, { focus: true }),
  onText: (text) => search({ text }, { focus: true }),
  onTerm: (row, sign) => addTerm({ like: row.id, weight: sign * DEFAULT_WEIGHT }, { focus: true }),
  onClose: (row) => grid.focus(grid.rows.findIndex(({ id }) => id === row?.id)),
});
const box = new QueryBox({
  onText: (text, { typing }) => typeText(text, typing),
  onPicture: (image) => search({ image }),
  onRemove: () => change({ like: null, image: null }),
});
const terms = new Terms({ onChange: (next) => change({ terms: next }), nameOf: (id) => nameOf(collection().name, id) });
const refine = new Refine({ onChange: (changes) => change({ ...changes, ...rowsOfOther(changes) }) });
const atlas = new Atlas({ onDetails: (row) => detail.open([row], 0), isShown });

function collection() {
  return catalogue.collections.find(({ name }) => name === state.collection) ?? catalogue.collections[0];
}

/** Return the fields to reset when the collection changes: its ids and columns are different. */
function rowsOfOther(changes) {
  return changes.collection ? { like: null, terms: [], on: "image", keywords: "", where: "", filters: {} } : {};
}

function change(changes, options) {
  go({ ...state, ...changes, shown: PAGE_ROWS }, options);
}

/** Add a term. Without a query, a first term that is wanted becomes the query. */
function addTerm(term, options) {
  if (!isSearch(state) && term.weight > 0) search({ like: term.like }, options);
  else change({ terms: withTerm(state.terms, term) }, options);
}

function toggleMap() {
  go({ ...state, view: state.view === "atlas" ? "" : "atlas" });
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

function go(next, { replace = false, typing = false, focus = false } = {}) {
  if (address(next) === address(state) && next.image === state.image) replace = true;
  isTyping = typing;
  write(next, { replace });
  show(next, { scroll: typing ? null : 0, focus });
}

async function show(next, { scroll = 0, focus = false } = {}) {
  state = next;
  if (catalogue === null) return; // once it has loaded, `start` shows the address
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const busy = setTimeout(() => grid.setBusy(true), BUSY_MS);
  showControls();
  try {
    await (isSearch(state) ? showHits(signal) : isBrowsing() ? showMatches(signal) : showSample(signal));
    if (state.view === "atlas") await atlas.show(collection(), isSearch(state) ? grid.rows.map(({ id }) => id) : [], signal);
    if (scroll !== null) window.scrollTo(0, scroll);
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
  const isMap = state.view === "atlas";
  mapToggle.setAttribute("aria-pressed", String(isMap));
  if (!isMap) atlas.hide();
  document.getElementById("tools").hidden = !isSearch(state);
}

async function showHits(signal) {
  hideWelcome(state.text.trim() ? `Results for ${state.text.trim()}` : "Results");
  showSubject(signal);
  const k = Math.min(state.shown, catalogue.limits.k);
  const answer = await post("/api/search", request(state, k, 0), signal);
  clearErrors();
  grid.show(answer.hits, collection());
  say(found(answer.hits.length, collection(), answer));
  offerMore(answer.hits.length === k);
  if (answer.hits.length === 0) noticeEmpty();
}

function noticeEmpty() {
  notice("No results", "No row matches the filters.", ["Remove the filters", () => change({ where: "", keywords: "", filters: {} })]);
}

/** Whether rows that match the filters are shown, and nothing is searched for. */
function isBrowsing() {
  return !isSearch(state) && isFiltered(state) && state.view !== "atlas";
}

/** Return up to `k` rows for the grid, of the search or of those that match the filters. */
async function rowsOf(k, offset, signal) {
  if (isSearch(state)) return post("/api/search", request(state, k, offset), signal);
  const answer = await post("/api/search", browse(state, collection(), k, offset), signal);
  return { ...answer, hits: answer.hits.map(({ distance, similarity, ...row }) => row) };
}

/** Show rows that match the filters, where nothing is searched for. */
async function showMatches(signal) {
  hideWelcome("Rows that match the filters");
  const k = Math.min(state.shown, catalogue.limits.k);
  const { hits } = await rowsOf(k, 0, signal);
  clearErrors();
  grid.show(hits, collection());
  say(hits.length ? matching(hits.length, hits.length < k) : "");
  offerMore(hits.length === k);
  if (hits.length === 0) noticeEmpty();
}

/** Show some rows of the collection, evenly spread, to begin with. */
async function showSample(signal) {
  if (state.view === "atlas") hideWelcome("Map");
  else welcome(collection(), (text) => search({ text }));
  const items = state.view === "atlas" ? [] : (await sampleOf(collection(), PAGE_ROWS, signal)).filter(isShown);
  clearErrors();
  grid.show(items, collection());
  say("");
  offerMore(false);
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
  offerMore(false);
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

function offerMore(isMore) {
  more.hidden = !isMore || state.shown >= Math.min(catalogue.limits.depth, catalogue.limits.k);
}

async function showMore() {
  const { signal } = running;
  more.disabled = true;
  try {
    const answer = await rowsOf(PAGE_ROWS, grid.rows.length, signal);
    const first = grid.rows.length;
    grid.append(answer.hits);
    state = { ...state, shown: grid.rows.length };
    write(state, { replace: true });
    say(isSearch(state) ? found(grid.rows.length, collection(), answer) : matching(grid.rows.length, answer.hits.length < PAGE_ROWS));
    offerMore(answer.hits.length === PAGE_ROWS);
    if (answer.hits.length) grid.focus(first);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  } finally {
    more.disabled = false;
  }
}

async function start() {
  catalogue = await get("/api/collections");
  refine.offer(catalogue.collections);
  await show(read(), { scroll: history.state?.scroll ?? 0 });
}

function begin() {
  clearNotice();
  start().catch(showError);
}

history.scrollRestoration = "manual";
onTokenWanted(askToken);
more.addEventListener("click", showMore);
document.getElementById("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ ...withQuery(state, {}), where: "", keywords: "", filters: {}, view: "", on: "image" });
});
window.addEventListener("popstate", () => {
  isTyping = false;
  show(read(), { scroll: history.state?.scroll ?? 0 });
});
mapToggle.addEventListener("click", toggleMap);
document.getElementById("compare-open").addEventListener("click", () => compare(request(state, Math.min(state.shown, catalogue.limits.k), 0)));
document.getElementById("compare-close").addEventListener("click", () => document.getElementById("compare").close());
listenToDownloads({ body: () => request(state, grid.rows.length || 1, 0), onError: showError });
listenToKeys({ box, grid, toggleMap });
begin();
