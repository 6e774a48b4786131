// The dialog with all data of one row.

import { post } from "./api.js";
import { captionOf, ratioOf, showPicture, webAddress } from "./pictures.js";

const PICTURE_SIZE = 1024; // pixels
const NEIGHBOURS = 6; // of a row, shown with it
const NEIGHBOUR_SIZE = 160; // pixels
const ORIGIN = ["part", "row"];
const byId = (id) => document.getElementById(id);

export class Detail {
  /** `onLike(row)`, `onText(text)` and `onTerm(row, sign)` start searches; `safe()` gives the safe mode field of searches. */
  constructor({ collection, safe, canAdd, onLike, onText, onTerm, onClose }) {
    this.dialog = byId("detail");
    this.collection = collection;
    this.safe = safe;
    this.canAdd = canAdd;
    this.rows = [];
    this.running = new AbortController();
    this.index = 0;
    const leave = (action) => () => {
      const row = this.rows[this.index];
      this.dialog.close();
      action(row);
    };
    byId("detail-close").addEventListener("click", () => this.dialog.close());
    byId("detail-previous").addEventListener("click", () => this.#step(-1));
    byId("detail-next").addEventListener("click", () => this.#step(1));
    byId("detail-like").addEventListener("click", leave(onLike));
    byId("detail-text").addEventListener("click", leave((row) => onText(row.caption)));
    byId("detail-plus").addEventListener("click", leave((row) => onTerm(row, 1)));
    byId("detail-minus").addEventListener("click", leave((row) => onTerm(row, -1)));
    byId("detail-link").addEventListener("click", () => this.#copyLink());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // the backdrop
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.#step(-1);
      if (event.key === "ArrowRight") this.#step(1);
    });
    this.dialog.addEventListener("close", () => {
      this.running.abort();
      onClose(this.rows[this.index]);
    });
  }

  /** Show one of `rows`; the arrow keys show the others. */
  open(rows, index) {
    this.rows = rows;
    this.#show(index);
    this.dialog.showModal();
    byId("detail-like").focus();
  }

  #step(step) {
    const next = this.index + step;
    if (next >= 0 && next < this.rows.length) this.#show(next);
  }

  #show(index) {
    this.index = index;
    const { rows } = this;
    const row = rows[index];
    const collection = this.collection();
    const canSearchTexts = collection.queries.includes("text") && typeof row.caption === "string" && row.caption.trim() !== "";
    byId("detail-caption").textContent = captionOf(row);
    byId("detail-place").textContent = rows.length > 1 ? `${index + 1} of ${rows.length}` : "";
    byId("detail-previous").disabled = index === 0;
    byId("detail-next").disabled = index === rows.length - 1;
    byId("detail-text").hidden = !canSearchTexts;
    byId("detail-plus").hidden = byId("detail-minus").hidden = !this.canAdd();
    byId("detail-link").textContent = "Copy link";
    const picture = byId("detail-picture");
    picture.style.setProperty("--ratio", (ratioOf(row) ?? 1).toFixed(4));
    showPicture(picture, row, collection, PICTURE_SIZE);
    const facts = Object.entries(row).filter(([name]) => !ORIGIN.includes(name));
    byId("detail-columns").replaceChildren(...facts.flatMap(([name, value]) => entry(name, value)));
    byId("detail-origin").replaceChildren(...origin(row, collection).flatMap(([name, value]) => entry(name, value)));
    this.#showNeighbours(row, collection);
  }

  /** Show the rows nearest to this one. */
  async #showNeighbours(row, collection) {
    this.running.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    const list = byId("detail-near");
    list.replaceChildren();
    try {
      const asked = { collection: collection.name, like: row.id, k: NEIGHBOURS, ...this.safe() };
      const { hits } = await post("/api/search", asked, signal);
      list.replaceChildren(...hits.map((hit, index) => this.#neighbour(hit, index, hits)));
    } catch (error) {
      if (error.name !== "AbortError") list.replaceChildren(); // the row is shown without them
    }
    byId("detail-near-field").hidden = list.children.length === 0;
  }

  #neighbour(hit, index, hits) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.title = captionOf(hit);
    button.setAttribute("aria-label", `${captionOf(hit)}, similarity ${hit.similarity.toFixed(3)}`);
    showPicture(button, hit, this.collection(), NEIGHBOUR_SIZE);
    button.addEventListener("click", () => {
      this.rows = hits;
      this.#show(index);
      byId("detail-like").focus();
    });
    item.append(button);
    return item;
  }

  async #copyLink() {
    const query = new URLSearchParams({ c: this.collection().name, like: this.rows[this.index].id });
    const link = `${location.origin}/?${query}`;
    try {
      await navigator.clipboard.writeText(link);
      byId("detail-link").textContent = "Copied";
    } catch {
      byId("detail-link").textContent = link; // no access to the clipboard: to be copied by hand
    }
  }
}

function origin(row, { name, model }) {
  const found = ORIGIN.filter((column) => column in row).map((column) => [column, row[column]]);
  return [["collection", name], ["model", model?.name ?? null], ...found];
}

function entry(name, value) {
  const term = document.createElement("dt");
  term.textContent = name;
  const detail = document.createElement("dd");
  const address = webAddress(value);
  if (address) detail.append(link(address, value));
  else if (value === null) detail.append(missing());
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
