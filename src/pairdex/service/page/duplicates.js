// Near-duplicates: rows in groups, the kept one of each first, and the distance within which they are near.

import { get } from "./api.js";
import { say } from "./notices.js";
import { isDuplicates, thresholdOf } from "./state.js";
import { counted, duration, number } from "./wording.js";

const GROUPS = 12; // at a time
const GROUP_ROWS = 8; // of each, until all are asked for
const MOST_SHOWN = 800; // rows of a group: what a filter of 10,000 characters can name
const POLL_MS = 500;
const byId = (id) => document.getElementById(id);

/**
 * Let the controls act on the rows of `grid` and on `selection`; `state()` and `collection()` give what is shown,
 * `onThreshold(threshold)` is called when another is chosen, `onError(error)` if a group cannot be read.
 */
export function listenToDuplicates({ grid, selection, state, collection, onThreshold, onError }) {
  const slider = byId("duplicates-within");
  slider.addEventListener("input", () => showThreshold(slider.value / 100));
  slider.addEventListener("change", () => onThreshold(slider.value / 100));
  byId("duplicates-select").addEventListener("click", () => selection.set(othersOf(grid.rows)));
  byId("results").addEventListener("click", (event) => {
    const button = event.target.closest(".group-bar button");
    if (!button) return;
    const kept = Number(button.closest(".group").dataset.kept);
    const act = button.matches(".group-select") ? select : showAll;
    act(kept).catch(onError);
  });

  async function select(kept) {
    await showAll(kept);
    selection.set(new Set([...selection.ids, ...othersOf(rowsIn(kept))]));
  }

  async function showAll(kept) {
    const shown = rowsIn(kept);
    if (isWhole(shown[0].group)) return;
    const rows = await rowsOfGroup(state(), collection(), kept);
    const first = grid.rows.indexOf(shown[0]);
    if (first >= 0) grid.show([...grid.rows.slice(0, first), ...rows, ...grid.rows.slice(first + shown.length)], collection());
  }

  function rowsIn(kept) {
    return grid.rows.filter(({ group }) => group?.kept === kept);
  }
}

function othersOf(rows) {
  return rows.filter(({ id, group }) => group && id !== group.kept).map(({ id }) => id);
}

/** Whether as many rows of a group are shown as can be. */
function isWhole({ size, loaded }) {
  return loaded >= Math.min(size, MOST_SHOWN);
}

/** Show or hide the controls as the state says. */
export function showDuplicates(state) {
  byId("duplicates").hidden = !isDuplicates(state);
  byId("duplicates-toggle").setAttribute("aria-pressed", String(isDuplicates(state)));
  byId("duplicates-within").value = Math.round(thresholdOf(state) * 100);
  showThreshold(thresholdOf(state));
}

function showThreshold(threshold) {
  byId("duplicates-value").textContent = threshold.toFixed(2);
  byId("duplicates-within").setAttribute("aria-valuetext", threshold.toFixed(2));
}

/** Return {rows, isMore, next, answer}: the groups from `next` on until there are `count` rows. */
export async function duplicateRows(state, collection, { count, next, signal }) {
  const rows = [];
  let answer = null;
  let offset = next ?? 0;
  do {
    answer = await found(address(state, collection, { offset, k: GROUPS, rows: GROUP_ROWS }), signal);
    const parts = await Promise.all(answer.items.map((group) => shownRows(group, state, collection, signal)));
    rows.push(...parts.flat());
    offset = answer.next;
  } while (rows.length < count && offset !== null);
  byId("duplicates-select").hidden = rows.length === 0 && next === null;
  return { rows, answer, next: offset, isMore: offset !== null };
}

/** Return all rows of a group, up to 800, without hidden ones. */
async function rowsOfGroup(state, collection, kept, signal) {
  const group = await get(address(state, collection, { k: MOST_SHOWN }, `/${kept}`), signal);
  return shownRows({ ...group, next: null }, state);
}

function address(state, collection, asked, place = "") {
  const fields = { collection: collection.name, threshold: thresholdOf(state), on: state.on, ...asked };
  if (state.safe === "0") fields.safe = false;
  return `api/duplicates${place}?${new URLSearchParams(fields)}`;
}

/** Ask until the groups are found, and say meanwhile how far the service is. */
async function found(path, signal) {
  const bar = byId("duplicates-progress");
  try {
    for (;;) {
      const answer = await get(path, signal);
      if (answer.status === "ready") return answer;
      bar.hidden = false;
      if (answer.total) Object.assign(bar, { max: answer.total, value: answer.done });
      else bar.removeAttribute("value");
      say(WORDS[answer.step]);
      await pause(signal);
    }
  } finally {
    bar.hidden = true;
  }
}

const WORDS = {
  waiting: "Waiting for another search for near-duplicates …",
  reading: "Looking for near-duplicates: reading all rows …",
  coding: "Looking for near-duplicates: preparing all rows …",
  comparing: "Looking for near-duplicates: comparing all rows …",
};

function pause(signal) {
  return new Promise((resolve, reject) => {
    setTimeout(() => (signal?.aborted ? reject(signal.reason) : resolve()), POLL_MS);
  });
}

/** The rows of a group that are not hidden, each with its group; none if fewer than two are left. */
async function shownRows({ size, rows, next }, state, collection, signal) {
  const hidden = new Set(state.hidden);
  const kept = rows[0].id;
  const left = rows.filter(({ id }) => !hidden.has(id));
  const gone = rows.length - left.length;
  if (gone > 0 && next !== null) return rowsOfGroup(state, collection, kept, signal); // others may be hidden, too
  if (size - gone < 2) return [];
  return left.map((row) => ({ ...row, group: { kept, size: size - gone, loaded: left.length } }));
}

/** Return the tiles under the headings of their groups; tiles of rows without groups as they are. */
export function inGroups(tiles, rows) {
  if (!rows[0]?.group) return tiles;
  const groups = new Map();
  rows.forEach(({ group }, i) => {
    if (!groups.has(group.kept)) groups.set(group.kept, { group, tiles: [] });
    groups.get(group.kept).tiles.push(tiles[i]);
  });
  return [...groups.values()].map(section);
}

function section({ group: { kept, size, loaded }, tiles }) {
  const part = byId("group").content.cloneNode(true).firstElementChild;
  part.dataset.kept = kept;
  part.querySelector("h2").textContent = counted(size, "row");
  const select = part.querySelector(".group-select");
  select.textContent = size === 2 ? "Select the other" : `Select the ${number(Math.min(size, MOST_SHOWN) - 1)} others`;
  select.setAttribute("aria-label", `${select.textContent} of group ${kept}`);
  const all = part.querySelector(".group-all");
  all.hidden = isWhole({ size, loaded });
  all.textContent = size > MOST_SHOWN ? `Show the first ${MOST_SHOWN}` : `Show all ${number(size)}`;
  all.setAttribute("aria-label", `${all.textContent} of group ${kept}`);
  const list = part.querySelector("ul");
  list.setAttribute("aria-label", `Group ${kept}`);
  list.append(...tiles);
  return part;
}

/** What the status line says of the groups. */
export function describeGroups({ groups, dropped, seconds }) {
  if (groups === 0) return "";
  return `${counted(groups, "group")}, ${counted(dropped, "row")} besides the first of each · exact · ${duration(seconds)}`;
}
