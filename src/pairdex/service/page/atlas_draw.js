// Paints the map: density where one sees all of it, points nearer by or in the colours of a column, pictures nearest,
// and names of regions.

import { drawNames } from "./atlas_names.js";

const CELL = 5; // pixels of a cell of the density
const MOST_PICTURES = 160; // seen at once; with more points they are dots
const PICTURE = 56; // pixels
const DOTS_FROM = 1.8; // zoom

/** `shades` gives the colour of each point (`of(point)`), or is null; `lasso` is a list of places on the screen. */
export function draw(pen, data, view, { colours, hits, hovered, chosen, shades, lasso, pictureOf }) {
  pen.clearRect(0, 0, view.width, view.height);
  const seen = data.within(...view.seen);
  if (shades) drawShades(pen, data, view, seen, shades);
  else if (view.zoom < DOTS_FROM) drawDensity(pen, data, view, seen, colours);
  else drawDots(pen, data, view, seen, colours);
  if (seen.length <= MOST_PICTURES && view.zoom >= DOTS_FROM) drawPictures(pen, data, view, seen, colours, pictureOf);
  drawHits(pen, view, hits, colours);
  for (const [point, width] of [[hovered, 2], [chosen, 3]]) if (point >= 0) drawRing(pen, view, data.x[point], data.y[point], colours.ink, width, 7);
  drawNames(pen, data, view, seen, colours);
  drawLasso(pen, lasso, colours);
}

/** Points by their colours, one colour after the other: canvases change colours slowly. */
function drawShades(pen, data, view, seen, shades) {
  const groups = new Map();
  for (const i of seen) {
    const colour = shades.of(i);
    if (!groups.has(colour)) groups.set(colour, []);
    groups.get(colour).push(i);
  }
  const size = Math.min(8, 3 + Math.log2(Math.max(1, view.zoom)));
  pen.globalAlpha = 0.85;
  for (const [colour, points] of groups) {
    pen.fillStyle = colour;
    for (const i of points) {
      const [left, top] = view.toScreen(data.x[i], data.y[i]);
      pen.fillRect(left - size / 2, top - size / 2, size, size);
    }
  }
  pen.globalAlpha = 1;
}

function drawLasso(pen, lasso, { accent }) {
  if (lasso.length < 2) return;
  pen.beginPath();
  for (const place of lasso) pen.lineTo(...place);
  pen.closePath();
  pen.globalAlpha = 0.12;
  pen.fillStyle = accent;
  pen.fill();
  pen.globalAlpha = 1;
  pen.strokeStyle = accent;
  pen.lineWidth = 1.5;
  pen.stroke();
}

function drawDensity(pen, data, view, seen, colours) {
  const columns = Math.ceil(view.width / CELL);
  const cells = new Map();
  let most = 1;
  for (const i of seen) {
    const [left, top] = view.toScreen(data.x[i], data.y[i]);
    const cell = Math.floor(top / CELL) * columns + Math.floor(left / CELL);
    const rows = (cells.get(cell) ?? 0) + data.weights[i];
    cells.set(cell, rows);
    most = Math.max(most, rows);
  }
  pen.fillStyle = colours.accent;
  for (const [cell, rows] of cells) {
    pen.globalAlpha = 0.16 + (0.74 * Math.log1p(rows)) / Math.log1p(most);
    pen.beginPath();
    pen.arc(((cell % columns) + 0.5) * CELL, (Math.floor(cell / columns) + 0.5) * CELL, CELL * 0.52, 0, 7);
    pen.fill();
  }
  pen.globalAlpha = 1;
}

function drawDots(pen, data, view, seen, colours) {
  pen.fillStyle = colours.accent;
  pen.globalAlpha = 0.55;
  const radius = Math.min(4, 1.4 + Math.log2(view.zoom) * 0.5);
  for (const i of seen) {
    const [left, top] = view.toScreen(data.x[i], data.y[i]);
    pen.beginPath();
    pen.arc(left, top, radius, 0, 7);
    pen.fill();
  }
  pen.globalAlpha = 1;
}

function drawPictures(pen, data, view, seen, colours, pictureOf) {
  for (const i of seen) {
    const image = pictureOf(data.ids[i]);
    if (!image) continue;
    const [left, top] = view.toScreen(data.x[i], data.y[i]);
    const scale = PICTURE / Math.max(image.naturalWidth, image.naturalHeight);
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    pen.fillStyle = colours.paper;
    pen.fillRect(left - width / 2 - 1, top - height / 2 - 1, width + 2, height + 2);
    pen.drawImage(image, left - width / 2, top - height / 2, width, height);
  }
}

function drawHits(pen, view, hits, colours) {
  for (const [x, y] of hits) drawRing(pen, view, x, y, colours.danger, 2.5, 6);
}

function drawRing(pen, view, x, y, colour, width, radius) {
  const [left, top] = view.toScreen(x, y);
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.arc(left, top, radius, 0, 7);
  pen.stroke();
}
