// Filters by column: what was chosen as SQL and in the address, and the column statistics to choose from.

import { post } from "./api.js";
import { rangeFacet } from "./range_facet.js";
import { valuesFacet } from "./values_facet.js";
import { number } from "./wording.js";

const MOST_DISTINCT = 200; // text columns with more values are left to the SQL filter
const OPEN = 4; // columns that are open at first
const DAY_MS = 86_400_000;
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
    if (isDay(filter.to)) ends.push(`${quoted(name)} < ${literal(dayAfter(filter.to))}`);
    else if (filter.to !== undefined) ends.push(`${quoted(name)} <= ${literal(filter.to)}`);
    return ends;
  });
}

/** Whether a value is a day as in 2024-05-31. */
function isDay(value) {
  return typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value);
}

/** Return the day after a day: a filter up to a day contains all of it. */
function dayAfter(day) {
  return new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10);
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
  const ends = Object.entries(filter).filter(([end, value]) => ["from", "to"].includes(end) && (Number.isFinite(value) || isDay(value)));
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
      this.facets = await post("api/facets", asked, this.running.signal);
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
    const wasOpen = new Map([...this.place.querySelectorAll("details")].map((one) => [one.dataset.name, one.open]));
    const focused = document.activeElement?.dataset?.facet;
    byId("facets-note").textContent = counted < rows ? `Counts are from a sample of ${number(counted)} of ${number(rows)} rows.` : "";
    this.place.replaceChildren(...offered.map((column, index) => this.#facet(column, wasOpen.get(column.name) ?? index < OPEN)));
    if (focused) this.place.querySelector(`[data-facet="${CSS.escape(focused)}"]`)?.focus();
  }

  #facet(column, isOpen) {
    const filter = this.filters[column.name];
    const box = document.createElement("details");
    const summary = document.createElement("summary");
    box.className = "facet";
    box.dataset.name = column.name;
    box.open = isOpen || Boolean(filter);
    summary.textContent = column.name;
    if (filter) summary.append(mark());
    const choose = (next) => this.#set(column.name, next);
    box.append(summary, ...(column.values ? valuesFacet : rangeFacet)(column, filter, choose));
    return box;
  }

  #set(name, filter) {
    const { [name]: _, ...others } = this.filters;
    this.onChange(filter ? { ...others, [name]: filter } : others);
  }
}

function isOffered({ name, values, distinct, least, most }) {
  if (NOT_OFFERED.has(name)) return false;
  if (values) return distinct > 1 && distinct <= MOST_DISTINCT;
  return least !== null && most !== null && least !== most;
}

function mark() {
  const dot = document.createElement("span");
  dot.className = "facet-mark";
  dot.textContent = " · set";
  return dot;
}
