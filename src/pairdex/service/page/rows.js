// Rows by their ids: a few evenly spread ones to begin with, and the captions of those that are named.

import { get, post } from "./api.js";
import { captionOf } from "./pictures.js";

/** `count` rows of the collection, evenly spread. */
export function sampleOf({ name, rows, removed }, count, signal) {
  const many = Math.min(count, rows);
  return rowsOf(name, Array.from({ length: many }, (_, i) => Math.floor((i * (rows + removed)) / many)), signal);
}

export async function rowOf(collection, id, signal) {
  return get(`/api/items/${id}?${new URLSearchParams({ collection })}`, signal);
}

export async function nameOf(collection, id) {
  return captionOf(await rowOf(collection, id));
}

/** The rows of these ids; where some were removed, the others. */
async function rowsOf(name, ids, signal) {
  const none = (error) => {
    if (error.status !== 404) throw error;
    return null;
  };
  const all = await post("/api/items", { collection: name, ids }, signal).catch(none);
  if (all) return all.items;
  const each = await Promise.all(ids.map((id) => rowOf(name, id, signal).catch(none)));
  return each.filter((row) => row !== null);
}
