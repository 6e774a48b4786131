// The rows that a state of the page shows, a page at a time: hits of a search, rows that match filters, or all rows.
// Further pages come when one scrolls to the end, after ten of them on demand.

import { post } from "./api.js";
import { duplicateRows } from "./duplicates.js";
import { shuffled } from "./rows.js";
import { isSafe, isSafeMode } from "./safe.js";
import { PAGE_ROWS, browse, isBrowse, isDuplicates, isSearch, request } from "./state.js";

const AUTO_PAGES = 10; // then the end of the page can be reached
const AHEAD = "400px"; // from the end of the results, where the next page is asked for

/**
 * Return {rows, isMore, next, answer} of a state: `count` rows from `next` of the page before on, null for the first.
 * `answer` is the service's, null if all rows are shown.
 */
async function rowsOf(state, collection, { count, next, limits, signal }) {
  if (isDuplicates(state)) return duplicateRows(state, collection, { count, next, signal });
  if (isBrowse(state)) return matchingRows(state, Math.min(count, limits.k), next, signal);
  const offset = next ?? 0;
  const k = Math.min(count, limits.k, limits.depth - offset);
  if (!isSearch(state)) return allRows(state, collection, k, offset, signal);
  const answer = await post("api/search", request(state, k, offset), signal);
  return { rows: answer.hits, answer, next: offset + k, isMore: answer.hits.length === k && offset + k < limits.depth };
}

async function matchingRows(state, k, after, signal) {
  const answer = await post("api/search", browse(state, k, after), signal);
  return { rows: answer.hits, answer, next: answer.next, isMore: answer.next !== null };
}

async function allRows(state, collection, k, offset, signal) {
  const rows = await shuffled(collection, state.seed, offset, k, signal);
  const isShown = (row) => !isSafeMode(state, collection) || isSafe(row, collection);
  return { rows: rows.filter(isShown), answer: null, next: offset + k, isMore: offset + k < collection.rows + collection.removed };
}

export class Results {
  /** `onPage(shown)` is called when a further page is there, `onError(error)` if it failed. */
  constructor(grid, { onError, onPage }) {
    this.grid = grid;
    this.onError = onError;
    this.onPage = onPage;
    this.button = document.getElementById("more");
    this.button.addEventListener("click", () => {
      this.pages = 0;
      this.more({ focus: true });
    });
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.isNear = isIntersecting;
      this.#goOn();
    }, { rootMargin: AHEAD }).observe(this.button);
    this.stop();
  }

  get isEmpty() {
    return this.grid.rows.length === 0;
  }

  /** Show the first rows of a state. */
  async first(state, collection, limits, signal) {
    const asked = { limits, signal };
    const { rows, ...page } = await rowsOf(state, collection, { ...asked, count: state.shown, next: null });
    Object.assign(this, { state, collection, asked, pages: 0, ...page });
    this.grid.show(rows, collection);
    this.button.hidden = !this.isMore;
  }

  clear(collection) {
    this.stop();
    this.grid.show([], collection);
  }

  /** Ask for no further page. */
  stop() {
    Object.assign(this, { isMore: false, loading: null, answer: null, pages: 0 });
    this.button.hidden = true;
  }

  /** Append the next page; resolves when it is there. */
  async more({ focus = false } = {}) {
    if (!this.isMore) return;
    this.loading ??= this.#load(focus).catch((error) => {
      if (error.name !== "AbortError") this.onError(error);
    }).finally(() => { this.loading = null; });
    await this.loading;
    this.#goOn();
  }

  async #load(focus) {
    const { asked, grid } = this;
    const { rows, ...page } = await rowsOf(this.state, this.collection, { ...asked, count: PAGE_ROWS, next: this.next });
    if (asked !== this.asked || asked.signal.aborted) return;
    const first = grid.rows.length;
    grid.append(rows);
    Object.assign(this, page, { pages: this.pages + 1 });
    this.button.hidden = !this.isMore;
    this.onPage(grid.rows.length);
    if (focus && rows.length) grid.focus(first);
  }

  /** Load on while the end is near, for some pages. */
  #goOn() {
    if (this.isNear && this.isMore && this.pages < AUTO_PAGES && !this.loading) requestAnimationFrame(() => this.isNear && this.more());
  }
}
