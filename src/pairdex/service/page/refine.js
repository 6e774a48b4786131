// The panel that narrows a search: collection, pictures or captions, what to keep away from, SQL filter.

import { safeFilter } from "./safe.js";

const ID = { name: "id", type: "int64" }; // filters know it besides the columns
const byId = (id) => document.getElementById(id);

export class Refine {
  /** `onChange(changes)` is called with the fields of the state that the user changed. */
  constructor({ onChange }) {
    this.panel = byId("refine");
    this.toggle = byId("refine-toggle");
    this.where = byId("where");
    this.unlike = byId("unlike");
    this.toggle.addEventListener("click", () => this.open(this.panel.hidden));
    this.panel.addEventListener("submit", (event) => {
      event.preventDefault();
      onChange({ where: this.where.value.trim(), unlike: this.unlike.value.trim() });
    });
    byId("collection").addEventListener("change", (event) => onChange({ collection: event.target.value }));
    byId("on-field").addEventListener("change", (event) => onChange({ on: event.target.value }));
    byId("safe").addEventListener("change", (event) => onChange({ safe: event.target.checked ? "1" : "" }));
    for (const input of [this.where, this.unlike]) {
      input.addEventListener("change", () => onChange({ [input.id]: input.value.trim() }));
    }
    this.where.addEventListener("input", () => this.complain(""));
  }

  open(isOpen) {
    this.panel.hidden = !isOpen;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
  }

  offer(collections) {
    byId("collection").replaceChildren(...collections.map(({ name, rows }) => new Option(`${name} (${rows.toLocaleString("en")})`, name)));
    byId("collection-field").hidden = collections.length < 2;
  }

  show(state, collection) {
    byId("collection").value = collection.name;
    byId("on-field").hidden = collection.vectors.length < 2;
    for (const radio of byId("on-field").querySelectorAll("input")) radio.checked = radio.value === state.on;
    byId("safe-field").hidden = safeFilter(collection) === null;
    byId("safe").checked = state.safe !== "";
    setUnlessFocused(this.unlike, state.unlike);
    setUnlessFocused(this.where, state.where);
    this.unlike.disabled = !collection.queries.includes("text");
    this.#offerColumns(collection.columns);
    const count = [state.unlike, state.where, state.safe && safeFilter(collection), state.on !== "image"].filter(Boolean).length;
    byId("refine-count").textContent = count;
    byId("refine-count").hidden = count === 0;
    if (state.where || state.unlike) this.open(true);
  }

  /** Show what is wrong with the filter beside it; an empty message takes it away. */
  complain(message) {
    byId("where-error").textContent = message;
    this.where.setAttribute("aria-invalid", String(message !== ""));
    if (message) this.open(true);
  }

  #offerColumns(columns) {
    const names = columns.map(({ name }) => name).join(" ");
    if (names === this.offered) return;
    this.offered = names;
    this.where.placeholder = example(columns);
    byId("columns").replaceChildren(...[ID, ...columns].map(({ name, type }) => this.#columnChip(name, type)));
  }

  #columnChip(name, type) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip code";
    chip.textContent = name;
    chip.title = type;
    chip.addEventListener("click", () => {
      this.where.focus();
      this.where.setRangeText(quoted(name), this.where.selectionStart, this.where.selectionEnd, "end");
    });
    return chip;
  }
}

/** Names that SQL would not read as one name stand in double quotes. */
function quoted(name) {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function example(columns) {
  const has = (name) => columns.some((column) => column.name === name);
  if (has("width")) return "width >= 512";
  return has("caption") ? "caption LIKE '%cat%'" : "id < 1000";
}

function setUnlessFocused(input, value) {
  if (document.activeElement !== input) input.value = value;
}
