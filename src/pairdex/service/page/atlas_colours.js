// Colours of the map's points by a column, and the legend.

import { get } from "./api.js";

const NOT_OFFERED = new Set(["url", "caption", "image_path", "row", "content"]);
const LABELS = ["#3f7fc1", "#e07b1a", "#3f9b52", "#cf4a4a", "#9365b8", "#2ba3a3", "#96714f", "#d1609a"];
const OTHER = "#8b8b86";
const RAMP = [[104, 84, 190], [58, 124, 196], [30, 156, 140], [120, 182, 62], [232, 168, 32]]; // from the least to the most
const DENSITY = [["few", "color-mix(in srgb, var(--accent) 25%, transparent)"], ["many", "var(--accent)"]];
const STEPS = 48; // colours of the ramp
const byId = (id) => document.getElementById(id);

export class Colours {
  /** `onChange()` is called when the colours of the points have changed. */
  constructor({ onChange, onError }) {
    this.select = byId("atlas-colour");
    this.shades = null;
    this.select.addEventListener("change", () => this.#load().then(onChange, onError));
  }

  /** Offer the columns of a collection. */
  offer({ name, columns }) {
    if (this.name === name) return;
    Object.assign(this, { name, shades: null });
    const offered = columns.filter((column) => !NOT_OFFERED.has(column.name) && !/list|struct|binary/.test(column.type));
    this.select.replaceChildren(new Option("Number of rows", ""), ...offered.map((column) => new Option(column.name, column.name)));
    this.#explain(DENSITY);
  }

  async #load() {
    const column = this.select.value;
    this.shades = null;
    if (column) {
      const answer = await get(`api/atlas/column?${new URLSearchParams({ collection: this.name, name: column })}`);
      this.shades = answer.labels ? byLabels(answer) : byNumbers(answer);
    }
    this.#explain(this.shades?.legend ?? DENSITY);
  }

  #explain(legend) {
    byId("atlas-legend").replaceChildren(...legend.map(([words, colour]) => entry(words, colour)));
  }
}

function byLabels({ labels, codes }) {
  const numbers = new Uint8Array(bytes(codes));
  const legend = labels.map((label, index) => [label || "none", LABELS[index]]);
  if (numbers.some((code) => code >= labels.length)) legend.push(["other", OTHER]);
  return { of: (point) => LABELS[numbers[point]] ?? OTHER, legend };
}

/** From the 2nd to the 98th percentile, so that single extremes do not take all colours. */
function byNumbers({ numbers, type }) {
  const values = new Float64Array(bytes(numbers));
  const sorted = values.filter(Number.isFinite).sort();
  const [least, most] = [sorted[Math.floor(sorted.length * 0.02)] ?? 0, sorted[Math.floor(sorted.length * 0.98)] ?? 0];
  const part = (value) => Math.min(1, Math.max(0, (value - least) / (most - least || 1)));
  const of = (point) => (Number.isFinite(values[point]) ? ramp(part(values[point])) : OTHER);
  const isTime = /^(date|timestamp)/.test(type);
  const written = (value) => (isTime ? day(value, type) : String(Number(value.toPrecision(4))));
  const legend = [0, 0.25, 0.5, 0.75, 1].map((at) => [written(least + at * (most - least)), ramp(at)]);
  if (sorted.length < values.length) legend.push(["none", OTHER]);
  return { of, legend };
}

function ramp(part) {
  const at = (Math.round(part * STEPS) / STEPS) * (RAMP.length - 1);
  const [low, high] = [RAMP[Math.floor(at)], RAMP[Math.ceil(at)]];
  return `rgb(${low.map((value, i) => Math.round(value + (high[i] - value) * (at % 1))).join(" ")})`;
}

function day(value, type) {
  const perSecond = { "[s": 1, "[ms": 1e3, "[us": 1e6, "[ns": 1e9 }[/\[[mun]?s/.exec(type)?.[0]];
  const milliseconds = perSecond ? (value / perSecond) * 1000 : value * 86_400_000;
  return new Date(milliseconds).toISOString().slice(0, 10);
}

function entry(words, colour) {
  const item = document.createElement("li");
  const mark = document.createElement("span");
  mark.className = "swatch";
  mark.style.background = colour;
  item.append(mark, words);
  return item;
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}
