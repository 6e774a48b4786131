// The state of the page and its form in the address. A picture does not fit there: it is kept in the browser's
// history, so that going back and reloading work, but a shared address does not contain it.

import { conditions, readFilters } from "./filters.js";
import { DEFAULT_WEIGHT, readTerm, writeTerm } from "./terms.js";

const FOLD = 0.06; // the distance within which rows are near-duplicates
const MOST_WITHIN = 0.1; // the largest that the service takes
export const PAGE_ROWS = 24; // rows at a time: fills a screen with full lines of 2, 3, 4 or 6

export const NO_FILTERS = { keywords: "", where: "", filters: {}, hidden: [], sort: "" };

const EMPTY = { collection: "", text: "", like: null, image: null, terms: [], on: "image", keywords: "", fold: "", hybrid: "", sort: "", where: "", filters: {}, hidden: [], safe: "", view: "", within: "", layout: "", seed: 0, row: null, shown: PAGE_ROWS };
const NAMES = { collection: "c", text: "q", keywords: "words", fold: "fold", hybrid: "hybrid", sort: "sort", where: "where", safe: "safe", view: "view", within: "within", layout: "layout" };
const NUMBERS = { like: "like", row: "row", seed: "seed" }; // ids, and the seed of a shuffle

export function read() {
  const query = new URLSearchParams(location.search);
  const state = { ...EMPTY, image: history.state?.image ?? null };
  for (const [field, name] of Object.entries(NAMES)) state[field] = query.get(name) ?? "";
  for (const [field, name] of Object.entries(NUMBERS)) if (/^\d{1,15}$/.test(query.get(name) ?? "")) state[field] = Number(query.get(name));
  state.hidden = (query.get("hide") ?? "").split(",").filter((one) => /^\d{1,15}$/.test(one)).map(Number);
  state.terms = query.getAll("term").map(readTerm).filter(Boolean);
  if (query.get("not")?.trim()) state.terms.push({ text: query.get("not"), weight: -DEFAULT_WEIGHT });
  if (query.has("f")) state.filters = readFilters(query.get("f"));
  if (location.hash === "#atlas") state.view = "atlas";
  if (query.get("on") === "text") state.on = "text";
  const shown = Number(query.get("n"));
  if (shown > PAGE_ROWS && Number.isSafeInteger(shown)) state.shown = shown;
  return state;
}

/** Write the state to the address. `isAbove`: the entry shows details over the one before it. */
export function write(state, { replace = false, isAbove = false } = {}) {
  const entry = { image: state.image, isAbove: replace ? (history.state?.isAbove ?? false) : isAbove, scroll: replace ? (history.state?.scroll ?? 0) : 0 };
  if (replace) {
    history.replaceState(entry, "", address(state));
    return;
  }
  history.replaceState({ ...history.state, scroll: window.scrollY }, "");
  history.pushState(entry, "", address(state));
}

export function address(state) {
  const query = new URLSearchParams();
  for (const [field, name] of Object.entries(NAMES)) if (state[field]) query.set(name, state[field]);
  for (const [field, name] of Object.entries(NUMBERS)) if (state[field] !== EMPTY[field]) query.set(name, state[field]);
  if (state.hidden.length) query.set("hide", state.hidden.join(","));
  for (const term of state.terms) query.append("term", writeTerm(term));
  if (Object.keys(state.filters).length) query.set("f", JSON.stringify(state.filters));
  if (state.on !== "image") query.set("on", state.on);
  if (state.shown !== PAGE_ROWS) query.set("n", state.shown);
  const written = query.toString();
  return written ? `${location.pathname}?${written}` : location.pathname;
}

/** Return the address of the same results without details over them. */
export function addressBelow(state) {
  return address({ ...state, row: null, shown: PAGE_ROWS });
}

/** Return the full address of a row's details, to be shared. */
export function linkTo(collection, id) {
  return new URL(`?${new URLSearchParams({ c: collection, row: id })}`, location.href).href;
}

/** Whether keywords or filters choose rows, or a column orders them, without a query. */
export function isBrowse(state) {
  return !isSearch(state) && (isFiltered(state) || state.sort !== "");
}

/** Whether groups of near-duplicates are shown: of all rows, without a query. */
export function isDuplicates(state) {
  return state.view === "duplicates" && !isSearch(state) && !isBrowse({ ...state, hidden: [] });
}

/** The distance within which rows are near-duplicates, in hundredths. */
export function thresholdOf({ within }) {
  const asked = Math.round(Number(within) * 100) / 100;
  return within !== "" && asked >= 0 ? Math.min(asked, MOST_WITHIN) : FOLD;
}

/** Whether keywords or filters narrow the rows. */
export function isFiltered(state) {
  return state.keywords.trim() !== "" || state.where.trim() !== "" || Object.keys(state.filters).length > 0 || state.hidden.length > 0;
}

/** Return the body of POST /api/search for rows without a query; `after` is the `next` of the page before, or null. */
export function browse(state, k, after) {
  const order = state.sort ? { sort: state.sort.replace(/^-/, ""), descending: state.sort.startsWith("-") } : {};
  return { ...scope(state), ...order, k, ...(after !== null && { after }) };
}

export function isSearch(state) {
  return state.text.trim() !== "" || state.like !== null || state.image !== null || state.terms.length > 0;
}

/** Return the state with another query: exactly one of text, like and image, and no other terms. A query leaves near-duplicates. */
export function withQuery(state, query) {
  const view = state.view === "duplicates" ? "" : state.view;
  return { ...state, view, text: "", like: null, image: null, terms: [], ...query, row: null, seed: 0, shown: PAGE_ROWS };
}

/** Return the body of POST /api/search. */
export function request(state, k, offset) {
  const body = { ...scope(state), on: state.on, k, offset };
  const main = mainQuery(state);
  if (state.hybrid === "0") body.hybrid = false;
  if (state.fold) body.fold = FOLD;
  if (state.terms.length === 0) return { ...body, ...main };
  return { ...body, terms: [...(main ? [{ ...main, weight: 1 }] : []), ...state.terms] };
}

/** Return which rows are considered: collection, keywords, filters, safe mode. */
export function scope(state, { withFilters = true } = {}) {
  const chosen = withFilters ? [...conditions(state.filters), hiding(state.hidden)] : [];
  const filters = [state.where.trim(), ...chosen].filter(Boolean);
  const body = {};
  if (state.collection) body.collection = state.collection;
  if (state.keywords.trim()) body.keywords = state.keywords.trim();
  if (filters.length === 1) body.where = filters[0];
  if (filters.length > 1) body.where = filters.map((one) => `(${one}\n)`).join(" AND "); // a comment ends with its line
  if (state.safe === "0") body.safe = false;
  return body;
}

function hiding(ids) {
  return ids.length ? `id NOT IN (${ids.join(", ")})` : "";
}

function mainQuery(state) {
  if (state.like !== null) return { like: state.like };
  if (state.image !== null) return { image: state.image };
  return state.text.trim() ? { text: state.text.trim() } : null;
}
