// The panel that narrows the rows: filters by column, keywords, pictures or captions, safe mode, and SQL for the rest.

import { Filters, quoted } from "./filters.js";
import { isDuplicates, isSearch, scope } from "./state.js";

const ID = { name: "id", type: "int64" }; // filters can use it like a column
const byId = (id) => document.getElementById(id);

export class Refine {
  /** `onChange(changes)` is called with the fields of the state that the user changed. */
  constructor({ onChange }) {
    this.panel = byId("refine");
    this.toggle = byId("refine-toggle");
    this.where = byId("where");
    this.filters = new Filters({ onChange: (filters) => onChange({ filters }) });
    this.toggle.addEventListener("click", () => this.open(this.panel.hidden, { focus: true }));
    for (const id of ["refine-close", "refine-done"]) byId(id).addEventListener("click", () => this.open(false, { focus: true }));
    byId("refine-clear").addEventListener("click", () => onChange({ where: "", keywords: "", filters: {}, hidden: [], fold: "", hybrid: "", on: "image", safe: "" }));
    this.panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.open(false, { focus: true });
    });
    this.panel.addEventListener("submit", (event) => {
      event.preventDefault();
      onChange({ where: this.where.value.trim(), keywords: this.keywords.value.trim() });
    });
    byId("on-field").addEventListener("change", (event) => onChange({ on: event.target.value }));
    byId("safe").addEventListener("change", (event) => onChange({ safe: event.target.checked ? "" : "0" }));
    this.where.addEventListener("change", () => onChange({ where: this.where.value.trim() }));
    this.keywords = byId("keywords");
    this.keywords.addEventListener("change", () => onChange({ keywords: this.keywords.value.trim() }));
    byId("hybrid").addEventListener("change", (event) => onChange({ hybrid: event.target.checked ? "" : "0" }));
    byId("fold").addEventListener("change", (event) => onChange({ fold: event.target.checked ? "1" : "" }));
    this.where.addEventListener("input", () => this.complain(""));
  }

  /** Open or close the panel; `focus` moves the keyboard's focus into it, or back to its button. */
  open(isOpen, { focus = false } = {}) {
    this.panel.hidden = !isOpen;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    byId("layout").classList.toggle("with-panel", isOpen);
    if (this.state) this.#showFilters();
    if (focus) (isOpen ? byId("refine-close") : this.toggle).focus();
  }

  show(state, collection) {
    this.state = state;
    for (const radio of byId("on-field").querySelectorAll("input")) radio.checked = radio.value === state.on;
    byId("safe-field").hidden = !collection.safe;
    byId("safe").checked = state.safe !== "0";
    setUnlessFocused(this.where, state.where);
    setUnlessFocused(this.keywords, state.keywords);
    const canEncode = collection.queries.includes("text");
    const hasCaptions = collection.columns.some(({ name }) => name === "caption");
    byId("keywords-field").hidden = byId("hybrid-field").hidden = !canEncode || !hasCaptions;
    byId("hybrid").checked = state.hybrid !== "0";
    byId("fold").checked = state.fold !== "";
    byId("fold-field").hidden = !isSearch(state);
    byId("on-field").hidden = !isSearch(state) && !isDuplicates(state);
    if (collection.vectors.length < 2) byId("on-field").hidden = true;
    this.#offerColumns(collection.columns);
    const count = [state.where, state.keywords, state.fold, state.hybrid, collection.safe && state.safe === "0", state.on !== "image", state.hidden.length, ...Object.keys(state.filters)].filter(Boolean).length;
    byId("refine-count").textContent = count;
    byId("refine-count").hidden = count === 0;
    byId("refine-clear").hidden = count === 0;
    if (state.where) byId("sql").open = true;
    this.#showFilters();
  }

  #showFilters() {
    this.filters.show(this.state.filters, scope(this.state, { withFilters: false }), !this.panel.hidden);
  }

  /** Show an error beside a field; an empty message clears it. */
  complain(message, field = "where") {
    for (const input of [this.where, this.keywords]) {
      const own = input.id === field ? message : "";
      byId(`${input.id}-error`).textContent = own;
      input.setAttribute("aria-invalid", String(own !== ""));
    }
    if (!message) return;
    this.open(true);
    if (field === "where") byId("sql").open = true;
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

function example(columns) {
  const has = (name) => columns.some((column) => column.name === name);
  if (has("width")) return "width >= 512";
  return has("caption") ? "caption LIKE '%cat%'" : "id < 1000";
}

function setUnlessFocused(input, value) {
  if (document.activeElement !== input) input.value = value;
}
