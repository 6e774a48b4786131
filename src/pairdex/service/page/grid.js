// The results: tiles in lines of equal height; the arrow keys move between them.

import { captionOf, showPicture, tileRatio } from "./pictures.js";

const PICTURE_SIZE = 512; // pixels

export class Grid {
  /** `onLike(row, byKeyboard)`, `onDetails(index)` and `onTerm(row, sign)` are called when a tile is used. */
  constructor(list, { onLike, onDetails, onTerm }) {
    this.list = list;
    this.template = document.getElementById("tile");
    this.rows = [];
    list.addEventListener("click", (event) => {
      const index = this.#indexOf(event.target);
      if (index < 0) return;
      const sign = event.target.closest(".tile-term")?.value;
      if (sign) onTerm(this.rows[index], Number(sign));
      else if (event.target.closest(".tile-info")) onDetails(index);
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
      if (event.key === "+" || event.key === "-") {
        onTerm(this.rows[index], event.key === "+" ? 1 : -1);
        return;
      }
      const target = this.#neighbour(index, event.key);
      if (target === null) return;
      event.preventDefault();
      this.focus(target);
    });
  }

  /** Show rows. Tiles that stay keep their pictures, so that results do not flicker while typing. */
  show(rows, collection) {
    const isSame = collection === this.collection;
    const known = new Map(isSame ? this.rows.map(({ id }, i) => [id, this.list.children[i]]) : []);
    this.collection = collection;
    this.rows = rows;
    this.list.replaceChildren(...rows.map((row) => this.#filled(known.get(row.id) ?? this.#tile(row), row)));
    this.list.hidden = rows.length === 0;
    this.#setOnlyStop(this.#main(0));
  }

  append(rows) {
    this.rows = [...this.rows, ...rows];
    this.list.append(...rows.map((row) => this.#filled(this.#tile(row), row)));
  }

  focus(index) {
    const target = this.#main(index);
    if (!target) return;
    this.#setOnlyStop(target);
    target.focus();
    target.closest(".tile").scrollIntoView({ block: "nearest" });
  }

  setBusy(isBusy) {
    this.list.setAttribute("aria-busy", String(isBusy));
  }

  #tile(row) {
    const tile = this.template.content.cloneNode(true).firstElementChild;
    const caption = captionOf(row);
    tile.style.setProperty("--ratio", tileRatio(row).toFixed(4));
    tile.querySelector(".tile-caption").textContent = caption;
    tile.querySelector(".tile-info").setAttribute("aria-label", `Details: ${caption}`);
    const [plus, minus] = tile.querySelectorAll(".tile-term");
    plus.setAttribute("aria-label", `Also like: ${caption}`);
    minus.setAttribute("aria-label", `Less like: ${caption}`);
    showPicture(tile.querySelector(".tile-picture"), row, this.collection, PICTURE_SIZE);
    return tile;
  }

  /** The tile with what depends on the search. */
  #filled(tile, row) {
    const isHit = typeof row.similarity === "number";
    tile.querySelector(".tile-similarity").textContent = isHit ? row.similarity.toFixed(3) : "";
    return tile;
  }

  #main(index) {
    return this.list.children[index]?.querySelector(".tile-main");
  }

  /** One tile at a time is reached with Tab, then its other buttons. */
  #setOnlyStop(main) {
    for (const button of this.list.querySelectorAll('[tabindex="0"]')) button.tabIndex = -1;
    if (!main) return;
    main.tabIndex = 0;
    for (const button of main.closest(".tile").querySelectorAll("button")) button.tabIndex = 0;
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
