// Pictures that cannot be loaded: counts them, says it in one line, and hides their tiles on demand.

import { counted } from "./wording.js";

const ENOUGH = 4; // failures, and no picture, after which the captions are shown in cards of one size
const KEY = "pairdex-dead"; // collections none of whose pictures could be loaded in this tab
const byId = (id) => document.getElementById(id);

export class DeadPictures {
  constructor(grid) {
    this.grid = grid;
    this.isHiding = false;
    byId("dead-toggle").addEventListener("click", () => {
      this.isHiding = !this.isHiding;
      this.#say();
    });
  }

  /** Start with other results, of the same or another collection. */
  start(collection, hasPictures) {
    Object.assign(this, { name: collection.name, shown: 0, dead: 0 });
    this.grid.classList.toggle("cards", !hasPictures || isDead(collection));
    this.#say();
  }

  addShown() {
    this.shown += 1;
    if (known().includes(this.name)) remember(known().filter((name) => name !== this.name));
    this.#say();
  }

  addDead() {
    this.dead += 1;
    if (this.isAll && !known().includes(this.name)) remember([...known(), this.name]);
    if (this.isAll) this.grid.classList.add("cards");
    this.#say();
  }

  /** Whether none could be loaded. */
  get isAll() {
    return this.shown === 0 && this.dead >= ENOUGH;
  }

  #say() {
    const { dead, isAll } = this;
    byId("dead-note").hidden = dead === 0;
    byId("dead-toggle").hidden = isAll;
    byId("dead-words").textContent = isAll ? "No picture could be loaded here, so the captions are shown." : `${counted(dead, "picture")} could not be loaded.`;
    byId("dead-toggle").textContent = this.isHiding ? "Show them" : "Hide them";
    this.grid.classList.toggle("no-dead", this.isHiding && !isAll);
  }
}

/** Whether no picture of the collection could be loaded so far. */
export function isDead({ name }) {
  return known().includes(name);
}

function known() {
  return JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
}

function remember(names) {
  sessionStorage.setItem(KEY, JSON.stringify(names));
}
