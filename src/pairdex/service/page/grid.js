// The results: tiles in lines of one height, walked through with the arrow keys.

import { captionOf, showPicture, tileRatio } from "./pictures.js";

const PICTURE_SIZE = 512; // pixels

export class Grid {
  /** `onLike(row, byKeyboard)` and `onDetails(index)` are called when a tile is used. */
  constructor(list, { onLike, onDetails }) {
    this.list = list;
    this.template = document.getElementById("tile");
    this.rows = [];
    list.addEventListener("click", (event) => {
      const index = this.#indexOf(event.target);
      if (index < 0) return;
      if (event.target.closest(".tile-info")) onDetails(index);
      else if (event.target.closest(".tile-main")) onLike(this.rows[index], event.detail === 0);
    });
    list.addEventListener("keydown", (event) => {
      if (!event.target.matches(".tile-main") || event.ctrlKey || event.metaKey || event.altKey) return;
      const index = this.#indexOf(event.target);
      if (event.key === "Enter") {
        event.preventDefault();
        onDetails(index);
        return;
      }
      const target = this.#neighbour(index, event.key);
      if (target === null) return;
      event.preventDefault();
      this.focus(target);
    });
  }

  show(rows, collection) {
    this.rows = [];
    this.list.replaceChildren();
    this.append(rows, collection);
  }

  append(rows, collection) {
    const first = this.rows.length;
    this.rows.push(...rows);
    this.list.append(...rows.map((row) => this.#tile(row, collection)));
    if (first === 0 && rows.length) this.#main(0).tabIndex = 0;
  }

  focus(index) {
    const target = this.#main(index);
    if (!target) return;
    for (const button of this.list.querySelectorAll('.tile-main[tabindex="0"]')) this.#setStop(button, -1);
    this.#setStop(target, 0);
    target.focus();
    target.closest(".tile").scrollIntoView({ block: "nearest" });
  }

  setBusy(isBusy) {
    this.list.setAttribute("aria-busy", String(isBusy));
  }

  #tile(row, collection) {
    const tile = this.template.content.cloneNode(true).firstElementChild;
    const caption = captionOf(row);
    tile.style.setProperty("--ratio", tileRatio(row).toFixed(4));
    tile.querySelector(".tile-caption").textContent = caption;
    tile.querySelector(".tile-info").setAttribute("aria-label", `Details: ${caption}`);
    const main = tile.querySelector(".tile-main");
    main.title = "More like this";
    if (typeof row.similarity === "number") {
      const similarity = tile.querySelector(".tile-similarity");
      similarity.textContent = row.similarity.toFixed(3);
      similarity.title = "Similarity: the cosine between this row and what was searched for";
    }
    showPicture(tile.querySelector(".tile-picture"), row, collection, PICTURE_SIZE);
    return tile;
  }

  #main(index) {
    return this.list.children[index]?.querySelector(".tile-main");
  }

  /** One tile at a time is reached with Tab, then its details button. */
  #setStop(button, tabIndex) {
    button.tabIndex = tabIndex;
    button.nextElementSibling.tabIndex = tabIndex;
  }

  #indexOf(element) {
    return Array.prototype.indexOf.call(this.list.children, element.closest(".tile"));
  }

  #neighbour(index, key) {
    const last = this.rows.length - 1;
    if (key === "ArrowRight") return Math.min(last, index + 1);
    if (key === "ArrowLeft") return Math.max(0, index - 1);
    if (key === "Home") return 0;
    if (key === "End") return last;
    if (key === "ArrowDown") return this.#inLine(index, 1);
    if (key === "ArrowUp") return this.#inLine(index, -1);
    return null;
  }

  /** The tile of the next line whose middle is nearest. */
  #inLine(index, step) {
    const tiles = this.list.children;
    const middle = (tile) => tile.offsetLeft + tile.offsetWidth / 2;
    const here = tiles[index];
    let best = index;
    let line = null;
    for (let i = index + step; tiles[i]; i += step) {
      if (tiles[i].offsetTop === here.offsetTop) continue;
      line ??= tiles[i].offsetTop;
      if (tiles[i].offsetTop !== line) break;
      const isNearer = best === index || Math.abs(middle(tiles[i]) - middle(here)) < Math.abs(middle(tiles[best]) - middle(here));
      if (isNearer) best = i;
    }
    return best;
  }
}
