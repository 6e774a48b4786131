// The map's points from the service, and a grid to find them by position.

import { get, post } from "./api.js";

const STEPS = 65_535; // of a position
const CELLS = 128; // cells per side of the grid that finds points quickly

export class AtlasData {
  static async load(collection, signal) {
    const answer = await get(`api/atlas?${new URLSearchParams({ collection })}`, signal);
    return new AtlasData(collection, answer);
  }

  constructor(collection, { ids, positions, weights, regions, rows, points }) {
    this.collection = collection;
    this.rows = rows;
    this.count = points;
    this.regions = regions.filter(({ words }) => words.length > 0);
    this.ids = new Float64Array(bytes(ids));
    const steps = new Uint16Array(bytes(positions));
    this.x = Float32Array.from({ length: points }, (_, i) => steps[2 * i] / STEPS);
    this.y = Float32Array.from({ length: points }, (_, i) => 1 - steps[2 * i + 1] / STEPS); // screens count downwards
    this.weights = new Uint32Array(bytes(weights));
    this.cells = Array.from({ length: CELLS * CELLS }, () => []);
    for (let i = 0; i < points; i++) this.cells[this.#cell(this.x[i], this.y[i])].push(i);
  }

  /** The numbers of the points within a rectangle. */
  within(left, top, right, bottom) {
    const found = [];
    const clamp = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor(value * CELLS)));
    for (let row = clamp(top); row <= clamp(bottom); row++) {
      for (let column = clamp(left); column <= clamp(right); column++) {
        for (const i of this.cells[row * CELLS + column]) {
          if (this.x[i] >= left && this.x[i] <= right && this.y[i] >= top && this.y[i] <= bottom) found.push(i);
        }
      }
    }
    return found;
  }

  /** The numbers of the points inside a polygon of [x, y]. */
  inside(polygon) {
    const [xs, ys] = [polygon.map(([x]) => x), polygon.map(([, y]) => y)];
    const box = this.within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
    return box.filter((i) => isInside(this.x[i], this.y[i], polygon));
  }

  /** The number of the nearest point at most `reach` away; -1 where there is none. */
  nearest(x, y, reach) {
    let best = -1;
    let least = reach * reach;
    for (const i of this.within(x - reach, y - reach, x + reach, y + reach)) {
      const square = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (square <= least) [best, least] = [i, square];
    }
    return best;
  }

  /** Where rows are: a list of [x, y]. */
  async places(ids, signal) {
    const { places } = await post("api/atlas/places", { collection: this.collection, ids }, signal);
    return places.map(([x, y]) => [x, 1 - y]);
  }

  #cell(x, y) {
    const at = (value) => Math.min(CELLS - 1, Math.floor(value * CELLS));
    return at(y) * CELLS + at(x);
  }
}

/** Whether a ray from a place crosses the polygon an odd number of times. */
function isInside(x, y, polygon) {
  let isIn = false;
  polygon.forEach(([x1, y1], index) => {
    const [x2, y2] = polygon[(index || polygon.length) - 1];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) isIn = !isIn;
  });
  return isIn;
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}
