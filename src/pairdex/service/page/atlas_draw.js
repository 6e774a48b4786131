// Paints the map: density where one sees all of it, points nearer by, pictures nearest, and names of regions.

const CELL = 5; // pixels of a cell of the density
const MOST_PICTURES = 160; // seen at once; with more points they are dots
const PICTURE = 56; // pixels
const DOTS_FROM = 1.8; // zoom
const LABEL_GAP = 6; // pixels between names

export function draw(pen, data, view, { colours, hits, hovered, chosen, pictureOf }) {
  pen.clearRect(0, 0, view.width, view.height);
  const seen = data.within(...view.seen);
  if (view.zoom < DOTS_FROM) drawDensity(pen, data, view, seen, colours);
  else drawDots(pen, data, view, seen, colours);
  if (seen.length <= MOST_PICTURES && view.zoom >= DOTS_FROM) drawPictures(pen, data, view, seen, colours, pictureOf);
  drawHits(pen, view, hits, colours);
  for (const [point, width] of [[hovered, 2], [chosen, 3]]) if (point >= 0) drawRing(pen, view, data.x[point], data.y[point], colours.ink, width, 7);
  drawNames(pen, data, view, colours);
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

/** Few large regions from afar, many small ones nearer by; larger ones first, none over another. */
function drawNames(pen, data, view, colours) {
  const level = view.zoom < 2.2 ? 0 : 1;
  const taken = [];
  pen.font = `600 ${level === 0 ? 15 : 13}px ${colours.font}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  const regions = data.regions.filter((region) => region.level === level).sort((one, other) => other.points - one.points);
  for (const { x, y, words } of regions) {
    const [left, top] = view.toScreen(x, 1 - y);
    const text = words.join(" · ");
    const half = pen.measureText(text).width / 2 + LABEL_GAP;
    const box = [left - half, top - 10 - LABEL_GAP, left + half, top + 10 + LABEL_GAP];
    const isSeen = box[0] >= 0 && box[2] <= view.width && box[1] >= 0 && box[3] <= view.height;
    if (!isSeen || taken.some((one) => overlap(one, box))) continue;
    taken.push(box);
    pen.strokeStyle = colours.paper;
    pen.lineWidth = 5;
    pen.strokeText(text, left, top);
    pen.fillStyle = colours.ink;
    pen.fillText(text, left, top);
  }
}

function overlap([left, top, right, bottom], other) {
  return left < other[2] && other[0] < right && top < other[3] && other[1] < bottom;
}
