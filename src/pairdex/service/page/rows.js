// Rows by their ids: all rows in a shuffled order, and the captions of those that are named.

import { get, post } from "./api.js";
import { rowName } from "./pictures.js";

const GOLDEN = 0.6180339887; // steps of this part of the rows spread any number of them evenly

/** Rows `offset` to `offset + count` of the collection in an order that spreads over all of it; each seed has its own. */
export function shuffled({ name, rows, removed }, seed, offset, count, signal) {
  const all = rows + removed;
  const step = coprimeTo(all);
  const first = Math.floor(((seed * GOLDEN) % 1) * all);
  const many = Math.max(0, Math.min(count, all - offset));
  return rowsOf(name, Array.from({ length: many }, (_, i) => (first + ((offset + i) % all) * step) % all), signal);
}

export async function rowOf(collection, id, signal) {
  return get(`api/items/${id}?${new URLSearchParams({ collection })}`, signal);
}

export async function nameOf(collection, id) {
  return rowName(await rowOf(collection, id));
}

/** A number near the golden part of `count` without a common divisor, so that its multiples reach every row once. */
function coprimeTo(count) {
  let step = Math.max(1, Math.round(count * GOLDEN));
  while (divisor(step, count) > 1) step += 1;
  return step;
}

function divisor(one, other) {
  return other === 0 ? one : divisor(other, one % other);
}

/** The rows of these ids; where some were removed, the others. */
async function rowsOf(name, ids, signal) {
  const none = (error) => {
    if (error.status !== 404) throw error;
    return null;
  };
  const all = await post("api/items", { collection: name, ids }, signal).catch(none);
  if (all) return all.items;
  const each = await Promise.all(ids.map((id) => rowOf(name, id, signal).catch(none)));
  return each.filter((row) => row !== null);
}
