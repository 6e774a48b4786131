// What is searched for, and how it stands in the address. Only a picture does not fit there: it is kept in the
// browser's history, so that going back and reloading work, and a shared address leaves it out.

export const PAGE_ROWS = 24; // rows at a time: fills a screen with whole lines of 2, 3, 4 or 6

const EMPTY = { collection: "", text: "", like: null, image: null, unlike: "", on: "image", where: "", safe: "", shown: PAGE_ROWS };
const NAMES = { collection: "c", text: "q", unlike: "not", where: "where", safe: "safe" };

export function read() {
  const query = new URLSearchParams(location.search);
  const state = { ...EMPTY, image: history.state?.image ?? null };
  for (const [field, name] of Object.entries(NAMES)) state[field] = query.get(name) ?? "";
  const like = query.get("like");
  if (like !== null && /^\d+$/.test(like)) state.like = Number(like);
  if (query.get("on") === "text") state.on = "text";
  const shown = Number(query.get("n"));
  if (shown > PAGE_ROWS && Number.isSafeInteger(shown)) state.shown = shown;
  return state;
}

export function write(state, { replace = false } = {}) {
  const entry = { image: state.image, scroll: replace ? (history.state?.scroll ?? 0) : 0 };
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
  if (state.like !== null) query.set("like", state.like);
  if (state.on !== "image") query.set("on", state.on);
  if (state.shown !== PAGE_ROWS && isSearch(state)) query.set("n", state.shown);
  const written = query.toString();
  return written ? `/?${written}` : "/";
}

export function isSearch(state) {
  return state.text.trim() !== "" || state.like !== null || state.image !== null;
}

/** The state with another query; exactly one of text, like and image is set. */
export function withQuery(state, query) {
  return { ...state, text: "", like: null, image: null, ...query, shown: PAGE_ROWS };
}

/** The body of POST /api/search; `safe` is the condition of safe mode. */
export function request(state, k, offset, safe) {
  const body = { on: state.on, k, offset };
  if (state.collection) body.collection = state.collection;
  if (state.like !== null) body.like = state.like;
  else if (state.image !== null) body.image = state.image;
  else body.text = state.text.trim();
  if (state.unlike.trim()) body.unlike = state.unlike.trim();
  const filters = [state.where.trim(), state.safe && safe].filter(Boolean);
  if (filters.length === 1) body.where = filters[0];
  if (filters.length > 1) body.where = filters.map((one) => `(${one}\n)`).join(" AND "); // a comment ends with its line
  return body;
}
