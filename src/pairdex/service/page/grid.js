// The results: tiles in lines of equal height, cards, or a list; the arrow keys move between them.

import { DeadPictures } from "./dead.js";
import { inGroups } from "./duplicates.js";
import { domainOf, loadPicture, pictureSources, rowName, sizeOf, tileRatio, webAddress } from "./pictures.js";

const PICTURE_SIZE = 512; // pixels

export class Grid {
  /** `onLike(row, byKeyboard)`, `onDetails(index)`, `onTerm(row, sign)` and `onSelect(row)` are called when a tile is used. */
  constructor(list, { onLike, onDetails, onTerm, onSelect }) {
    this.list = list;
    this.template = document.getElementById("tile");
    this.dead = new DeadPictures(list);
    this.rows = [];
    this.tiles = [];
    this.selected = new Set();
    list.addEventListener("click", (event) => {
      const index = this.#indexOf(event.target);
      if (index < 0) return;
      const sign = event.target.closest(".tile-term")?.value;
      if (sign) onTerm(this.rows[index], Number(sign));
      else if (event.target.matches(".tile-select")) onSelect(this.rows[index]);
      else if (event.target.closest(".tile-info")) onDetails(index);
      else if (event.target.closest(".tile-main")) onLike(this.rows[index], event.detail === 0);
    });
    list.addEventListener("keydown", (event) => {
      if (!event.target.matches(".tile-main") || event.ctrlKey || event.metaKey || event.altKey) return;
      const index = this.#indexOf(event.target);
      const acts = {
        Enter: () => onDetails(index),
        "+": () => onTerm(this.rows[index], 1),
        "-": () => onTerm(this.rows[index], -1),
        x: () => onSelect(this.rows[index]),
      };
      const target = this.#neighbour(index, event.key);
      const act = acts[event.key] ?? (target === null ? null : () => this.focus(target));
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  /** Show rows. Tiles that stay keep their pictures, so that results do not flicker while typing. */
  show(rows, collection) {
    const isSame = collection === this.collection;
    const known = new Map(isSame ? this.rows.map(({ id }, i) => [id, this.tiles[i]]) : []);
    this.collection = collection;
    this.rows = rows;
    if (collection) this.dead.start(collection, rows.some((row) => this.#mayHavePicture(row)));
    this.tiles = rows.map((row) => this.#filled(known.get(row.id) ?? this.#tile(row), row));
    this.list.replaceChildren(...inGroups(this.tiles, rows));
    this.list.classList.toggle("groups", Boolean(rows[0]?.group));
    this.list.hidden = rows.length === 0;
    for (const tile of this.list.querySelectorAll(".shown")) if (known.has(Number(tile.dataset.id))) this.dead.addShown();
    this.#setOnlyStop(this.#main(0));
  }

  append(rows) {
    const tiles = rows.map((row) => this.#filled(this.#tile(row), row));
    this.rows = [...this.rows, ...rows];
    this.tiles = [...this.tiles, ...tiles];
    this.list.append(...inGroups(tiles, rows));
  }

  /** Lay the rows out as a grid ("") or a list ("list"). */
  layOut(layout) {
    this.list.classList.toggle("list", layout === "list");
  }

  select(ids) {
    this.selected = ids;
    this.list.classList.toggle("selecting", ids.size > 0);
    this.rows.forEach((row, index) => this.#filled(this.tiles[index], row));
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
    const part = (name) => tile.querySelector(`.tile-${name}`);
    const name = rowName(row);
    tile.dataset.id = row.id;
    tile.style.setProperty("--ratio", tileRatio(row).toFixed(4));
    part("text").textContent = part("caption").textContent = name;
    part("main").setAttribute("aria-label", `More like: ${name}`);
    part("info").setAttribute("aria-label", `Details: ${name}`);
    part("select").setAttribute("aria-label", `Select: ${name}`);
    const [plus, minus] = tile.querySelectorAll(".tile-term");
    plus.setAttribute("aria-label", `Also like: ${name}`);
    minus.setAttribute("aria-label", `Less like: ${name}`);
    fillFacts(part, row);
    this.#addPicture(tile, row);
    return tile;
  }

  /** The words of a tile are there first; its picture covers them if it can be loaded. */
  #addPicture(tile, row) {
    const image = loadPicture(row, this.collection, PICTURE_SIZE, {
      onShown: () => {
        tile.classList.add("shown");
        this.dead.addShown();
      },
      onDead: () => {
        tile.classList.add("dead");
        image?.remove();
        if (this.#mayHavePicture(row)) this.dead.addDead();
      },
    });
    if (image) tile.querySelector(".tile-picture").append(image);
    tile.classList.toggle("local", Boolean(this.collection.pictures && row.image_path));
  }

  #mayHavePicture(row) {
    return pictureSources(row, this.collection, PICTURE_SIZE).length > 0;
  }

  /** The tile with what depends on the search and the selection. */
  #filled(tile, row) {
    const isHit = typeof row.similarity === "number";
    const isSelected = this.selected.has(row.id);
    const score = tile.querySelector(".tile-similarity");
    score.textContent = isHit ? row.similarity.toFixed(3) : "";
    score.title = whyOf(row);
    if (row.keyword_rank) score.append(wordsMark(row));
    tile.querySelector(".tile-select").checked = isSelected;
    tile.classList.toggle("selected", isSelected);
    return tile;
  }

  #main(index) {
    return this.tiles[index]?.querySelector(".tile-main");
  }

  /** One tile at a time is reached with Tab, then its other buttons. */
  #setOnlyStop(main) {
    for (const stop of this.list.querySelectorAll('[tabindex="0"]')) stop.tabIndex = -1;
    if (!main) return;
    main.tabIndex = 0;
    for (const stop of main.closest(".tile").querySelectorAll("button, a[href], input")) stop.tabIndex = 0;
  }

  #indexOf(element) {
    return this.tiles.indexOf(element.closest(".tile"));
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
    const { tiles } = this;
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

/** Return why a row is at its place. */
function whyOf({ similarity, group, vector_rank: meaning, keyword_rank: words }) {
  if (typeof similarity !== "number") return "";
  if (group) return `Similarity to the first of the group: ${similarity.toFixed(3)}`;
  const parts = [`Similarity to the query: ${similarity.toFixed(3)}`];
  if (meaning) parts.push(`rank ${meaning} by meaning`);
  if (words) parts.push(`rank ${words} by caption words`);
  return parts.join(", ");
}

function wordsMark({ keyword_rank: rank }) {
  const mark = document.createElement("small");
  mark.textContent = `words ${rank}`;
  return mark;
}

/** Domain with a link, size and licence of a row. */
function fillFacts(part, row) {
  const address = webAddress(row.url);
  const source = part("source");
  source.textContent = domainOf(row);
  source.hidden = !address;
  if (address) Object.assign(source, { href: address, rel: "noreferrer noopener", target: "_blank" });
  part("size").textContent = sizeOf(row);
  part("license").textContent = typeof row.license === "string" && row.license !== "?" ? row.license : "";
}
