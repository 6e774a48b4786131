// The map of the collection: its view, the row under the pointer, and the results on it.

import { post } from "./api.js";
import { Colours } from "./atlas_colours.js";
import { AtlasData } from "./atlas_data.js";
import { draw } from "./atlas_draw.js";
import { listen } from "./atlas_input.js";
import { AtlasView } from "./atlas_view.js";
import { sentence } from "./notices.js";
import { pictureSources, rowName, showPicture } from "./pictures.js";
import { counted } from "./wording.js";

const REACH = 16; // pixels around a point in which it can be picked
const POINT_MS = 60; // the pointer rests this long before a caption is requested
const MOST_PICTURES = 160; // visible at once, as in atlas_draw.js
const SIDE = 128; // pixels of a picture
const MOST_SELECTED = 800; // rows of a selection: what a filter of 10,000 characters can name
const KEPT = 600; // rows and pictures
const byId = (id) => document.getElementById(id);

export class Atlas {
  /**
   * `onDetails(row)` is called for a point that was clicked, `onSelect(ids, found)` with the rows of an area, at most
   * 800 of the `found` ones, `onError(error)` if a column cannot be read; only rows with `isShown(row)` are shown.
   */
  constructor({ onDetails, onSelect, onError, isShown }) {
    Object.assign(this, { onDetails, onSelect, isShown, lasso: [] });
    this.colours = new Colours({ onChange: () => this.#paint(), onError });
    this.section = byId("atlas");
    this.canvas = byId("atlas-map");
    this.tip = byId("atlas-tip");
    this.view = new AtlasView();
    this.rows = new Map();
    this.pictures = new Map();
    Object.assign(this, { data: null, hits: [], hovered: -1, chosen: -1 });
    listen(this.canvas, this.view, {
      onMove: () => this.#moved(),
      onPoint: (left, top) => this.#point(left, top),
      onLeave: () => this.#hover(-1),
      onClick: (left, top) => this.#click(left, top),
      isLasso: (event) => event.shiftKey || byId("atlas-lasso").getAttribute("aria-pressed") === "true",
      onLasso: (places, isDone) => this.#drawLasso(places, isDone),
      onAll: () => this.#select(this.data?.within(...this.view.seen) ?? []),
    });
    byId("atlas-lasso").addEventListener("click", () => this.#setLasso(byId("atlas-lasso").getAttribute("aria-pressed") !== "true"));
    const zoom = (factor) => () => {
      this.view.zoomAt(this.view.width / 2, this.view.height / 2, factor);
      this.#moved();
    };
    byId("atlas-in").addEventListener("click", zoom(1.6));
    byId("atlas-out").addEventListener("click", zoom(1 / 1.6));
    byId("atlas-fit").addEventListener("click", () => {
      this.view.fit();
      this.#moved();
    });
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  hide() {
    this.section.hidden = true;
  }

  /** Show the map of a collection, and the rows of `ids` on it; `focus` moves the keyboard's focus to it. */
  async show(collection, ids, signal, focus = false) {
    this.section.hidden = false;
    if (this.collection?.name !== collection.name || this.collection.rows !== collection.rows) this.#forget(collection);
    try {
      this.data ??= await AtlasData.load(collection.name, signal);
      this.hits = ids.length ? await this.data.places(ids, signal) : [];
    } catch (error) {
      if (error.name === "AbortError") throw error;
      this.#explain(error);
      return;
    }
    this.colours.offer(collection);
    byId("atlas-missing").hidden = true;
    byId("atlas-frame").hidden = false;
    this.canvas.setAttribute("aria-label", `Map of ${counted(this.data.count, "row")} of ${collection.name}`);
    this.#resize();
    if (focus) this.canvas.focus();
  }

  #forget(collection) {
    this.collection = collection;
    this.data = null;
    this.rows.clear();
    this.pictures.clear();
    this.view.fit();
    Object.assign(this, { hovered: -1, chosen: -1 });
  }

  #explain(error) {
    const command = /pairdex atlas \S+/.exec(error.message)?.[0];
    byId("atlas-frame").hidden = true;
    byId("atlas-missing").hidden = false;
    byId("atlas-missing-title").textContent = error.code === "stale_atlas" ? "The map is out of date" : error.code === "no_atlas" ? "No map yet" : "The map is unavailable";
    byId("atlas-missing-text").textContent = command ? "Run this command where the collection is stored:" : sentence(error.message);
    byId("atlas-command").textContent = command ? `pip install 'pairdex[atlas]'\n${command}` : "";
    byId("atlas-command").hidden = !command;
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height || !this.data) return;
    const dense = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    this.view.resize(width, height);
    this.canvas.getContext("2d").setTransform(dense, 0, 0, dense, 0, 0);
    this.#moved();
  }

  #moved() {
    this.#hover(-1);
    this.#paint();
    clearTimeout(this.loading);
    this.loading = setTimeout(() => this.#loadPictures(), 150);
  }

  #paint() {
    if (this.painting || !this.data) return;
    this.painting = requestAnimationFrame(() => {
      this.painting = null;
      const style = getComputedStyle(document.documentElement);
      const colours = Object.fromEntries(["paper", "ink", "quiet", "accent", "danger"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
      colours.font = getComputedStyle(document.body).fontFamily;
      const { hits, hovered, chosen, lasso } = this;
      const { shades } = this.colours;
      draw(this.canvas.getContext("2d"), this.data, this.view, { colours, hits, hovered, chosen, shades, lasso, pictureOf: (id) => this.pictures.get(id) });
      this.canvas.dataset.zoom = this.view.zoom.toFixed(2);
      this.canvas.dataset.hits = hits.length;
    });
  }

  #drawLasso(places, isDone) {
    this.lasso = isDone ? [] : places;
    this.#paint();
    if (!isDone) return;
    this.#setLasso(false);
    if (places.length > 2 && this.data) this.#select(this.data.inside(places.map((place) => this.view.toPlane(...place))));
  }

  #setLasso(isOn) {
    byId("atlas-lasso").setAttribute("aria-pressed", String(isOn));
    this.canvas.classList.toggle("drawing", isOn);
  }

  /** Select the rows of points, spread evenly over them if they are too many. */
  #select(points) {
    const step = Math.max(1, points.length / MOST_SELECTED);
    const some = Array.from({ length: Math.min(points.length, MOST_SELECTED) }, (_, i) => points[Math.floor(i * step)]);
    this.onSelect(some.map((point) => this.data.ids[point]), points.length);
  }

  #nearest(left, top) {
    return this.data ? this.data.nearest(...this.view.toPlane(left, top), REACH / this.view.side) : -1;
  }

  #point(left, top) {
    this.#hover(this.#nearest(left, top));
  }

  #hover(point) {
    if (point === this.hovered) return;
    this.hovered = point;
    this.tip.hidden = true;
    clearTimeout(this.asking);
    this.#paint();
    if (point >= 0) this.asking = setTimeout(() => this.#tell(point), POINT_MS);
  }

  async #tell(point) {
    const row = (await this.#rowsOf([this.data.ids[point]]))[0];
    if (!row || point !== this.hovered) return;
    const [left, top] = this.view.toScreen(this.data.x[point], this.data.y[point]);
    byId("atlas-tip-words").textContent = rowName(row);
    showPicture(byId("atlas-tip-picture"), row, this.collection, SIDE);
    this.tip.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    this.tip.style.left = `${Math.max(4, Math.min(left + 14, this.view.width - width - 4))}px`;
    this.tip.style.top = `${Math.max(4, Math.min(top + 14, this.view.height - height - 4))}px`;
  }

  async #click(left, top) {
    const point = this.#nearest(left, top);
    this.chosen = point;
    this.#paint();
    if (point < 0) return;
    const row = (await this.#rowsOf([this.data.ids[point]]))[0];
    if (row) this.onDetails(row);
  }

  /** Return rows by id, each requested once; removed rows are left out. */
  async #rowsOf(ids) {
    const unknown = ids.filter((id) => !this.rows.has(id));
    if (unknown.length) {
      const answer = await post("api/items", { collection: this.collection.name, ids: unknown }).catch(() => ({ items: [] }));
      if (this.rows.size > KEPT) this.rows.clear();
      for (const row of answer.items) this.rows.set(row.id, row);
    }
    return ids.map((id) => this.rows.get(id)).filter((row) => row && this.isShown(row));
  }

  async #loadPictures() {
    const { data } = this;
    const seen = data ? data.within(...this.view.seen) : [];
    if (seen.length === 0 || seen.length > MOST_PICTURES) return;
    const rows = await this.#rowsOf(seen.map((point) => data.ids[point]));
    if (this.pictures.size > KEPT) this.pictures.clear();
    for (const row of rows) if (!this.pictures.has(row.id)) this.#loadPicture(row);
  }

  async #loadPicture(row) {
    this.pictures.set(row.id, null); // on its way
    for (const source of pictureSources(row, this.collection, SIDE)) {
      const image = new Image();
      image.referrerPolicy = "no-referrer";
      try {
        image.src = await source();
        await image.decode();
        this.pictures.set(row.id, image);
        this.#paint();
        return;
      } catch {
        continue; // the next source, or a dot
      }
    }
  }
}
