// Names of regions on the map, where they cover no points if there is room, with a line to their region.

const GAP = 6; // pixels between names
const CELL = 6; // pixels of a cell in which points are counted
const NARROW = 600; // pixels of a map with room for few names
const MOST_NARROW = 6;
const RADII = [0, 26, 52, 84, 124, 172, 230]; // pixels from the region's centre
const DIRECTIONS = 16;
const COVERED = 12; // a covered cell weighs like so many pixels of distance

/** Few large regions from afar, many small ones nearer by; larger ones first, none over another. */
export function drawNames(pen, data, view, seen, colours) {
  const level = view.zoom < 2.2 ? 0 : 1;
  const taken = [];
  const points = occupied(data, view, seen);
  const isNarrow = view.width < NARROW;
  pen.font = `600 ${isNarrow ? 12 : level === 0 ? 15 : 13}px ${colours.font}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  const regions = data.regions.filter((region) => region.level === level).sort((one, other) => other.points - one.points);
  for (const { x, y, words } of isNarrow ? regions.slice(0, MOST_NARROW) : regions) {
    const centre = view.toScreen(x, 1 - y);
    if (!isWithin([...centre, ...centre], view)) continue;
    const text = words.join(" · ");
    const box = bestPlace(centre, pen.measureText(text).width / 2 + GAP, view, points, taken);
    if (!box) continue;
    taken.push(box);
    drawName(pen, text, centre, box, colours);
  }
}

/** Return which cells of the screen have points. */
function occupied(data, view, seen) {
  const columns = Math.ceil(view.width / CELL) + 1;
  const cells = new Uint8Array(columns * (Math.ceil(view.height / CELL) + 1));
  for (const i of seen) {
    const [left, top] = view.toScreen(data.x[i], data.y[i]);
    cells[Math.floor(top / CELL) * columns + Math.floor(left / CELL)] = 1;
  }
  return { cells, columns };
}

/** Return the box near a centre that covers the fewest points, the nearest of equals; null if names take all of them. */
function bestPlace([x, y], half, view, points, taken) {
  let best = null;
  let least = Infinity;
  for (const radius of RADII) {
    if (least <= radius) break; // no further one can be better
    for (const [left, top] of around(x, y, radius)) {
      const box = [left - half, top - 10 - GAP, left + half, top + 10 + GAP];
      if (!isWithin(box, view) || taken.some((one) => overlap(one, box))) continue;
      const cost = radius + COVERED * covered(box, points);
      if (cost < least) [best, least] = [box, cost];
    }
  }
  return best;
}

function around(x, y, radius) {
  if (radius === 0) return [[x, y]];
  return Array.from({ length: DIRECTIONS }, (_, i) => {
    const angle = (2 * Math.PI * i) / DIRECTIONS;
    return [x + radius * Math.cos(angle) * 1.6, y + radius * Math.sin(angle)]; // names are wide
  });
}

function covered([left, top, right, bottom], { cells, columns }) {
  let count = 0;
  for (let row = Math.floor((top + GAP) / CELL); row <= (bottom - GAP) / CELL; row++) {
    for (let column = Math.floor(left / CELL); column <= right / CELL; column++) count += cells[row * columns + column];
  }
  return count;
}

function drawName(pen, text, [x, y], box, { paper, ink, quiet }) {
  const [left, top] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  if (x < box[0] || x > box[2] || y < box[1] || y > box[3]) {
    const edge = [Math.min(box[2], Math.max(box[0], x)), Math.min(box[3] - GAP, Math.max(box[1] + GAP, y))];
    pen.strokeStyle = quiet;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(...edge);
    pen.lineTo(x, y);
    pen.stroke();
  }
  pen.strokeStyle = paper;
  pen.lineWidth = 5;
  pen.strokeText(text, left, top);
  pen.fillStyle = ink;
  pen.fillText(text, left, top);
}

function isWithin([left, top, right, bottom], { width, height }) {
  return left >= 0 && right <= width && top >= 0 && bottom <= height;
}

function overlap([left, top, right, bottom], other) {
  return left < other[2] && other[0] < right && top < other[3] && other[1] < bottom;
}
