// What part of the plane is seen: moving, zooming, and from the plane to the screen and back.

const MOST_ZOOM = 200; // times the whole map
const MARGIN = 0.06; // of the screen around the whole map

export class AtlasView {
  constructor() {
    Object.assign(this, { zoom: 1, x: 0.5, y: 0.5, width: 1, height: 1 });
  }

  resize(width, height) {
    Object.assign(this, { width, height });
  }

  /** Pixels of the plane's side. */
  get side() {
    return Math.min(this.width, this.height) * (1 - 2 * MARGIN) * this.zoom;
  }

  fit() {
    Object.assign(this, { zoom: 1, x: 0.5, y: 0.5 });
  }

  toScreen(x, y) {
    return [(x - this.x) * this.side + this.width / 2, (y - this.y) * this.side + this.height / 2];
  }

  toPlane(left, top) {
    return [(left - this.width / 2) / this.side + this.x, (top - this.height / 2) / this.side + this.y];
  }

  pan(right, down) {
    this.x = between(-0.2, this.x - right / this.side, 1.2);
    this.y = between(-0.2, this.y - down / this.side, 1.2);
  }

  /** Zoom so that what is at a place of the screen stays there. */
  zoomAt(left, top, factor) {
    const [x, y] = this.toPlane(left, top);
    this.zoom = between(0.7, this.zoom * factor, MOST_ZOOM);
    const [nowLeft, nowTop] = this.toScreen(x, y);
    this.pan(left - nowLeft, top - nowTop);
  }

  /** The seen part of the plane: left, top, right, bottom. */
  get seen() {
    return [...this.toPlane(0, 0), ...this.toPlane(this.width, this.height)];
  }
}

function between(least, value, most) {
  return Math.min(most, Math.max(least, value));
}
