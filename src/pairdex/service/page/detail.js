// The dialog with all that is known of one row.

import { captionOf, ratioOf, showPicture, webAddress } from "./pictures.js";

const PICTURE_SIZE = 1024; // pixels
const byId = (id) => document.getElementById(id);

export class Detail {
  /** `rows()` gives the rows to walk through; `onLike(row)`, `onText(text)`, `onUnlike(text)` start searches. */
  constructor({ rows, collection, canUnlike, onLike, onText, onUnlike, onClose }) {
    this.dialog = byId("detail");
    this.rows = rows;
    this.collection = collection;
    this.canUnlike = canUnlike;
    this.index = 0;
    const leave = (action) => () => {
      const row = this.rows()[this.index];
      this.dialog.close();
      action(row);
    };
    byId("detail-close").addEventListener("click", () => this.dialog.close());
    byId("detail-previous").addEventListener("click", () => this.#step(-1));
    byId("detail-next").addEventListener("click", () => this.#step(1));
    byId("detail-like").addEventListener("click", leave(onLike));
    byId("detail-text").addEventListener("click", leave((row) => onText(row.caption)));
    byId("detail-unlike").addEventListener("click", leave((row) => onUnlike(row.caption)));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // the backdrop
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.#step(-1);
      if (event.key === "ArrowRight") this.#step(1);
    });
    this.dialog.addEventListener("close", () => onClose(this.index));
  }

  open(index) {
    this.#show(index);
    this.dialog.showModal();
    byId("detail-like").focus();
  }

  #step(step) {
    const next = this.index + step;
    if (next >= 0 && next < this.rows().length) this.#show(next);
  }

  #show(index) {
    this.index = index;
    const rows = this.rows();
    const row = rows[index];
    const collection = this.collection();
    const canSearchTexts = collection.queries.includes("text") && typeof row.caption === "string" && row.caption.trim() !== "";
    byId("detail-caption").textContent = captionOf(row);
    byId("detail-place").textContent = `${index + 1} of ${rows.length}`;
    byId("detail-previous").disabled = index === 0;
    byId("detail-next").disabled = index === rows.length - 1;
    byId("detail-text").hidden = !canSearchTexts;
    byId("detail-unlike").hidden = !canSearchTexts || !this.canUnlike();
    const picture = byId("detail-picture");
    picture.style.setProperty("--ratio", (ratioOf(row) ?? 1).toFixed(4));
    showPicture(picture, row, collection, PICTURE_SIZE);
    byId("detail-columns").replaceChildren(...Object.entries(row).flatMap(([name, value]) => entry(name, value)));
  }
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
