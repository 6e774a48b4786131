// Filters by column: values to choose, with their counts, and ranges of numbers.

import { post } from "./api.js";

const MOST_DISTINCT = 200; // text columns with more values are left to the SQL filter
const NOT_OFFERED = new Set(["id", "part", "row", "image_path", "url", "caption"]);
const byId = (id) => document.getElementById(id);

/** Quote a name that SQL would not read as one name. */
export function quoted(name) {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Return the filters as SQL conditions. */
export function conditions(filters) {
  return Object.entries(filters).flatMap(([name, filter]) => {
    if (filter.in) return [`${quoted(name)} IN (${filter.in.map(literal).join(", ")})`];
    const ends = [];
    if (filter.from !== undefined) ends.push(`${quoted(name)} >= ${literal(filter.from)}`);
    if (filter.to !== undefined) ends.push(`${quoted(name)} <= ${literal(filter.to)}`);
    return ends;
  });
}

/** Return the filters in the address; what is invalid is ignored. */
export function readFilters(written) {
  try {
    const parsed = JSON.parse(written);
    return Object.fromEntries(Object.entries(parsed).flatMap(([name, filter]) => clean(name, filter)));
  } catch {
    return {};
  }
}

function clean(name, filter) {
  if (typeof filter !== "object" || filter === null) return [];
  const isValue = (value) => ["string", "boolean"].includes(typeof value) || Number.isFinite(value);
  if (Array.isArray(filter.in)) {
    const values = filter.in.filter(isValue);
    return values.length ? [[name, { in: values }]] : [];
  }
  const ends = Object.entries(filter).filter(([end, value]) => ["from", "to"].includes(end) && Number.isFinite(value));
  return ends.length ? [[name, Object.fromEntries(ends)]] : [];
}

function literal(value) {
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  return String(value).toUpperCase();
}

export class Filters {
  /** `onChange(filters)` is called with what the user has chosen. */
  constructor({ onChange }) {
    this.onChange = onChange;
    this.place = byId("facets");
    this.running = new AbortController();
  }

  /** Show column statistics over the rows of `asked`: {collection, where, safe}. */
  async show(filters, asked, isOpen) {
    this.filters = filters;
    const key = JSON.stringify(asked);
    if (!isOpen || (key === this.key && this.isLoading)) return;
    if (key === this.key || (await this.#load(key, asked))) this.#draw();
  }

  /** Load statistics; return true if they arrived and nothing else was requested meanwhile. */
  async #load(key, asked) {
    this.running.abort();
    this.running = new AbortController();
    Object.assign(this, { key, isLoading: true });
    try {
      this.facets = await post("/api/facets", asked, this.running.signal);
      this.isLoading = false;
      return true;
    } catch (error) {
      if (error.name === "AbortError") return false;
      Object.assign(this, { key: null, isLoading: false });
      if (error.field !== "where") byId("facets-note").textContent = "Column statistics are unavailable.";
      return false;
    }
  }

  #draw() {
    const { rows, counted, columns } = this.facets;
    const offered = columns.filter((column) => isOffered(column) || this.filters[column.name]);
    const open = new Set([...this.place.querySelectorAll("details[open]")].map((one) => one.dataset.name));
    const focused = document.activeElement?.dataset?.facet;
    byId("facets-note").textContent = counted < rows ? `Counts are from a sample of ${counted.toLocaleString("en")} of ${rows.toLocaleString("en")} rows.` : "";
    this.place.replaceChildren(...offered.map((column) => this.#facet(column, open.has(column.name))));
    if (focused) this.place.querySelector(`[data-facet="${CSS.escape(focused)}"]`)?.focus();
  }

  #facet(column, wasOpen) {
    const filter = this.filters[column.name];
    const box = document.createElement("details");
    const summary = document.createElement("summary");
    box.className = "facet";
    box.dataset.name = column.name;
    box.open = wasOpen || Boolean(filter);
    summary.textContent = column.name;
    if (filter) summary.append(mark());
    box.append(summary, column.values ? this.#values(column, filter) : this.#range(column, filter));
    return box;
  }

  #values({ name, values }, filter) {
    const list = document.createElement("ul");
    const chosen = filter?.in ?? [];
    const unseen = chosen.filter((value) => !values.some((one) => one.value === value));
    for (const { value, count } of [...values, ...unseen.map((one) => ({ value: one, count: 0 }))]) {
      const item = document.createElement("li");
      const label = document.createElement("label");
      const box = document.createElement("input");
      const words = document.createElement("span");
      const number = document.createElement("small");
      box.type = "checkbox";
      box.checked = chosen.includes(value);
      box.dataset.facet = `${name}=${value}`;
      words.textContent = value === "" ? "(empty)" : String(value);
      number.textContent = count.toLocaleString("en");
      box.addEventListener("change", () => {
        const next = box.checked ? [...chosen, value] : chosen.filter((one) => one !== value);
        this.#set(name, next.length ? { in: next } : null);
      });
      label.append(box, words, number);
      item.append(label);
      list.append(item);
    }
    return list;
  }

  #range({ name, least, most }, filter) {
    const row = document.createElement("div");
    row.className = "range";
    const inputs = [["from", least, "at least"], ["to", most, "at most"]].map(([end, value, words]) => {
      const input = document.createElement("input");
      input.type = "number";
      input.step = "any";
      input.placeholder = String(Number(Number(value).toPrecision(5)));
      input.value = filter?.[end] ?? "";
      input.dataset.facet = `${name}:${end}`;
      input.setAttribute("aria-label", `${name} ${words}`);
      return input;
    });
    const change = () => {
      const [from, to] = inputs.map((input) => (input.value === "" || !Number.isFinite(input.valueAsNumber) ? undefined : input.valueAsNumber));
      const next = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
      this.#set(name, Object.keys(next).length ? next : null);
    };
    for (const input of inputs) input.addEventListener("change", change);
    const dash = document.createElement("span");
    dash.textContent = "to";
    row.append(inputs[0], dash, inputs[1]);
    return row;
  }

  #set(name, filter) {
    const { [name]: _, ...others } = this.filters;
    this.onChange(filter ? { ...others, [name]: filter } : others);
  }
}

function isOffered({ name, values, distinct, least, most }) {
  if (NOT_OFFERED.has(name)) return false;
  if (values) return distinct > 1 && distinct <= MOST_DISTINCT;
  return typeof least === "number" && typeof most === "number" && least < most;
}

function mark() {
  const dot = document.createElement("span");
  dot.className = "facet-mark";
  dot.textContent = " · set";
  return dot;
}
