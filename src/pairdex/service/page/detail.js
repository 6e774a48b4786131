// The dialog with all data of one row.

import { needsToken, post } from "./api.js";
import { isDead } from "./dead.js";
import { hasCaption, loadPicture, picturePath, placeholder, ratioOf, rowName, webAddress } from "./pictures.js";
import { linkTo } from "./state.js";

const PICTURE_SIZE = 1024; // pixels
const MOST_SIZE = 2048; // pixels: the largest that the service sends
const NEIGHBOURS = 6; // of a row, shown with it
const NEIGHBOUR_SIZE = 160; // pixels
const ORIGIN = ["part", "row"];
const MATCH = {
  similarity: "similarity to the query",
  distance: "distance to the query",
  vector_rank: "rank by meaning",
  keyword_rank: "rank by caption words",
  fused_score: "score of both ranks",
  keyword_score: "score of the caption words",
  folded: "folded near-duplicates",
};
const COLUMN_NAMES = { pair_similarity: "similarity (picture and caption)" }; // the column `similarity`, beside that of the search
const byId = (id) => document.getElementById(id);

export class Detail {
  /**
   * `onLike(row)`, `onText(text)` and `onTerm(row, sign)` start searches, `onRow(id)` opens another row, `onStep(id, step)`
   * goes to the next or previous one, and `onClose(id)` is called when the user closes the dialog. `safe()` gives the safe
   * mode field of searches.
   */
  constructor({ collection, safe, canAdd, onLike, onText, onTerm, onRow, onStep, onClose }) {
    this.dialog = byId("detail");
    Object.assign(this, { collection, safe, canAdd, onRow, onStep, row: null, isLeaving: false, running: new AbortController() });
    byId("detail-close").addEventListener("click", () => this.dialog.close());
    byId("detail-previous").addEventListener("click", () => onStep(this.row.id, -1));
    byId("detail-next").addEventListener("click", () => onStep(this.row.id, 1));
    byId("detail-like").addEventListener("click", () => onLike(this.row));
    byId("detail-text").addEventListener("click", () => onText(this.row.caption));
    byId("detail-plus").addEventListener("click", () => onTerm(this.row, 1));
    byId("detail-minus").addEventListener("click", () => onTerm(this.row, -1));
    byId("detail-link").addEventListener("click", () => this.#copyLink());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // the backdrop
    });
    this.dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: "detail-previous", ArrowRight: "detail-next" }[event.key];
      if (step) byId(step).click();
    });
    this.dialog.addEventListener("close", () => {
      this.running.abort();
      if (!this.isLeaving) onClose(this.row.id);
      this.isLeaving = false;
    });
  }

  /** Close the dialog, if it is open; return the id of the row that it showed, or null. */
  hide() {
    if (!this.dialog.open) return null;
    this.isLeaving = true;
    this.dialog.close();
    return this.row.id;
  }

  get name() {
    return rowName(this.row);
  }

  /** Show one of `rows`; `isMore` says that further rows can be asked for. */
  show(rows, index, isMore) {
    const isLast = index === rows.length - 1 && !isMore;
    byId("detail-place").textContent = rows.length > 1 ? `${index + 1} of ${rows.length}${isMore ? " and more" : ""}` : "";
    byId("detail-previous").disabled = index === 0;
    byId("detail-next").disabled = isLast;
    this.#fill(rows[index], this.collection());
    if (this.dialog.open) return;
    this.dialog.showModal();
    byId("detail-like").focus();
  }

  #fill(row, collection) {
    this.row = row;
    byId("detail-caption").textContent = rowName(row);
    byId("detail-text").hidden = !collection.queries.includes("text") || !hasCaption(row);
    byId("detail-plus").hidden = byId("detail-minus").hidden = !this.canAdd();
    byId("detail-link").textContent = "Copy link";
    const picture = byId("detail-picture");
    picture.style.setProperty("--ratio", (ratioOf(row) ?? 1).toFixed(4));
    fillPicture(picture, row, collection);
    showOriginal(row, collection);
    fillFacts(row, collection);
    this.#showNeighbours(row, collection);
  }

  /** Show the rows nearest to this one. */
  async #showNeighbours(row, collection) {
    this.running.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    const list = byId("detail-near");
    list.replaceChildren();
    list.classList.toggle("texts", isDead(collection));
    try {
      const asked = { collection: collection.name, like: row.id, k: NEIGHBOURS, ...this.safe() };
      const { hits } = await post("api/search", asked, signal);
      list.replaceChildren(...hits.map((hit) => this.#neighbour(hit)));
    } catch (error) {
      if (error.name !== "AbortError") list.replaceChildren(); // the row is shown without them
    }
    byId("detail-near-field").hidden = list.children.length === 0;
  }

  #neighbour(hit) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const words = document.createElement("span");
    const name = rowName(hit);
    words.className = "near-text";
    words.textContent = name;
    Object.assign(button, { type: "button", title: name });
    button.setAttribute("aria-label", `${name}, similarity ${hit.similarity.toFixed(3)}`);
    const image = loadPicture(hit, this.collection(), NEIGHBOUR_SIZE, {
      onShown: () => button.classList.add("shown"),
      onDead: () => image?.remove(),
    });
    button.append(words, ...(image ? [image] : []));
    button.addEventListener("click", () => {
      this.onRow(hit.id);
      byId("detail-like").focus();
    });
    item.append(button);
    return item;
  }

  async #copyLink() {
    const link = linkTo(this.collection().name, this.row.id);
    try {
      await navigator.clipboard.writeText(link);
      byId("detail-link").textContent = "Copied";
    } catch {
      byId("detail-link").textContent = link; // no access to the clipboard: to be copied by hand
    }
  }
}

/** The picture takes its place once it is there. */
function fillPicture(place, row, collection) {
  place.replaceChildren(placeholder("Loading the picture …"));
  const image = loadPicture(row, collection, PICTURE_SIZE, {
    onShown: () => place.replaceChildren(image),
    onDead: () => place.replaceChildren(placeholder("This picture could not be loaded.")),
  });
  if (image) image.loading = "eager"; // it is not on the page yet
}

/** Link to the picture itself: at its address, or the largest that the service sends. */
function showOriginal(row, collection) {
  const link = byId("detail-original");
  const local = collection.pictures && row.image_path && !needsToken() ? picturePath(row, collection, MOST_SIZE) : null;
  const address = webAddress(row.url) ?? local;
  link.hidden = !address;
  if (address) link.href = address;
  else link.removeAttribute("href");
}

/** What the search says of the row, its columns under their names, and where it comes from. */
function fillFacts(row, { name, model }) {
  const match = Object.entries(MATCH).filter(([field]) => (row[field] ?? null) !== null).map(([field, label]) => [label, row[field]]);
  const columns = Object.entries(row).filter(([field]) => !(field in MATCH) && !ORIGIN.includes(field));
  const origin = ORIGIN.filter((field) => field in row).map((field) => [field, row[field]]);
  const fill = (id, facts) => byId(id).replaceChildren(...facts.flatMap(([label, value]) => entry(label, value)));
  byId("detail-match-field").hidden = match.length === 0;
  fill("detail-match", match);
  fill("detail-columns", columns.map(([field, value]) => [COLUMN_NAMES[field] ?? field, value]));
  fill("detail-origin", [["collection", name], ["model", model?.name ?? null], ...origin]);
}

function entry(name, value) {
  const term = document.createElement("dt");
  term.textContent = name;
  const detail = document.createElement("dd");
  const address = webAddress(value);
  if (address) detail.append(link(address, value));
  else if (value === null || value === "") detail.append(missing());
  else detail.textContent = written(value);
  return [term, detail];
}

function link(address, text) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.textContent = text;
  anchor.rel = "noreferrer noopener";
  anchor.target = "_blank";
  return anchor;
}

function missing() {
  const dash = document.createElement("span");
  dash.className = "missing";
  dash.textContent = "none";
  return dash;
}

function written(value) {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
