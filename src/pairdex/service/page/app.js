// Puts the page together: the state decides what is searched and shown; everything the user does makes a new state.

import { get, onTokenWanted, post } from "./api.js";
import { Detail } from "./detail.js";
import { Grid } from "./grid.js";
import { clearNotice, found, hideWelcome, notice, say, sentence, welcome } from "./notices.js";
import { captionOf, showPicture } from "./pictures.js";
import { QueryBox } from "./query.js";
import { Refine } from "./refine.js";
import { isSafe, safeFilter } from "./safe.js";
import { PAGE_ROWS, address, isSearch, read, request, withQuery, write } from "./state.js";
import { askToken } from "./token.js";

const BUSY_MS = 120; // results that take longer are dimmed until the new ones come
const SUBJECT_SIZE = 96; // pixels
const more = document.getElementById("more");

let catalogue = null; // the answer of GET /api/collections
let state = read();
let running = new AbortController();
let isTyping = false; // the last entry of the history is an unfinished text

const grid = new Grid(document.getElementById("results"), {
  onLike: (row, byKeyboard) => search({ like: row.id }, { focus: byKeyboard }),
  onDetails: (index) => detail.open(index),
});
const detail = new Detail({
  rows: () => grid.rows,
  collection,
  canUnlike: () => isSearch(state),
  onLike: (row) => search({ like: row.id }, { focus: true }),
  onText: (text) => search({ text }, { focus: true }),
  onUnlike: (unlike) => go({ ...state, unlike, shown: PAGE_ROWS }, { focus: true }),
  onClose: (index) => grid.focus(index),
});
const box = new QueryBox({
  onText: (text, { typing }) => typeText(text, typing),
  onPicture: (image) => search({ image }),
  onRemove: () => search({}),
});
const refine = new Refine({ onChange: (changes) => go({ ...state, ...changes, ...rowsOfOther(changes), shown: PAGE_ROWS }) });

function collection() {
  return catalogue.collections.find(({ name }) => name === state.collection) ?? catalogue.collections[0];
}

/** Ids mean other rows in another collection. */
function rowsOfOther(changes) {
  return changes.collection ? { like: null, on: "image", where: "" } : {};
}

function search(query, options) {
  go(withQuery(state, query), options);
}

function typeText(text, typing) {
  const next = withQuery(state, { text });
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
  if (catalogue === null) return; // it is on its way; then what the address says is shown
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const busy = setTimeout(() => grid.setBusy(true), BUSY_MS);
  showControls();
  try {
    await (isSearch(state) ? showHits(signal) : showSample(signal));
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
  refine.show(state, collection());
}

async function showHits(signal) {
  hideWelcome(state.text.trim() ? `Results for ${state.text.trim()}` : "Results like a picture");
  showSubject(signal);
  const k = Math.min(state.shown, catalogue.limits.k);
  const answer = await post("/api/search", request(state, k, 0, safeFilter(collection())), signal);
  clearErrors();
  grid.show(answer.hits, collection());
  say(found(answer.hits.length, collection(), answer));
  offerMore(answer.hits.length === k);
  if (answer.hits.length === 0) notice("Nothing here", "No row passes the filter.", ["Remove the filter", () => go({ ...state, where: "" })]);
}

/** Some rows of the collection, evenly spread, to begin with. */
async function showSample(signal) {
  const { name, rows, removed } = collection();
  const count = Math.min(PAGE_ROWS, rows);
  const ids = Array.from({ length: count }, (_, i) => Math.floor((i * (rows + removed)) / count));
  welcome(collection(), (text) => search({ text }));
  const isShown = (row) => !state.safe || safeFilter(collection()) === null || isSafe(row, collection());
  const items = (await rowsOf(name, ids, signal)).filter(isShown);
  clearErrors();
  grid.show(items, collection());
  say(state.where || state.unlike ? "The refinements count as soon as you search." : "");
  offerMore(false);
}

/** The rows of these ids; where some were removed, the others. */
async function rowsOf(name, ids, signal) {
  const none = (error) => {
    if (error.status !== 404) throw error;
    return null;
  };
  const all = await post("/api/items", { collection: name, ids }, signal).catch(none);
  if (all) return all.items;
  const address = (id) => `/api/items/${id}?collection=${encodeURIComponent(name)}`;
  const each = await Promise.all(ids.map((id) => get(address(id), signal).catch(none)));
  return each.filter((row) => row !== null);
}

async function showSubject(signal) {
  if (state.like === null) return;
  try {
    const query = new URLSearchParams({ collection: collection().name });
    const row = await get(`/api/items/${state.like}?${query}`, signal);
    if (signal.aborted) return;
    showPicture(box.pictureSlot, row, collection(), SUBJECT_SIZE);
    box.nameSubject(captionOf(row));
  } catch (error) {
    if (error.name !== "AbortError") box.pictureSlot.replaceChildren(); // the search itself says what is wrong
  }
}

function showError(error) {
  say("");
  offerMore(false);
  if (error.field === "where") {
    refine.complain(sentence(error.message));
    if (grid.rows.length === 0) notice("The filter cannot be used", "What is wrong stands beside it.");
    return;
  }
  grid.show([], catalogue ? collection() : null);
  hideWelcome("Error");
  notice("That did not work", sentence(error.message), ["Try again", () => (catalogue ? show(state) : begin())]);
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
    const answer = await post("/api/search", request(state, PAGE_ROWS, grid.rows.length, safeFilter(collection())), signal);
    const first = grid.rows.length;
    grid.append(answer.hits);
    state = { ...state, shown: grid.rows.length };
    write(state, { replace: true });
    say(found(grid.rows.length, collection(), answer));
    offerMore(answer.hits.length === PAGE_ROWS);
    if (answer.hits.length) grid.focus(first);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  } finally {
    more.disabled = false;
  }
}

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyped = event.target.matches("input:not([type=radio]), select, textarea");
    if (event.key === "/" && !isTyped) {
      event.preventDefault();
      box.input.focus();
      box.input.select();
    } else if (event.key === "ArrowDown" && event.target === box.input) {
      event.preventDefault();
      grid.focus(0);
    } else if (event.key === "Escape" && event.target.closest(".grid")) {
      box.input.focus();
    }
  });
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
  go({ ...withQuery(state, {}), unlike: "", where: "", on: "image" });
});
window.addEventListener("popstate", () => {
  isTyping = false;
  show(read(), { scroll: history.state?.scroll ?? 0 });
});
listenToKeys();
begin();
