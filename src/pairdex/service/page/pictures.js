// A row's picture: the local one, else the one at its address, else none; and what else is known of it.

import { pictureAddress, pictureAfterBusy } from "./api.js";

const RATIOS = { least: 0.75, most: 2.4 }; // width / height of a tile: room for words; beyond, the picture stands inside it

/** Width / height where the row says it, else null. */
export function ratioOf(row) {
  const ratio = Number(row.width) / Number(row.height);
  return Number.isFinite(ratio) && ratio > 0 ? ratio : null;
}

/** The same, within what a tile can show. */
export function tileRatio(row) {
  return Math.min(RATIOS.most, Math.max(RATIOS.least, ratioOf(row) ?? 1));
}

/** http and https addresses as they are, null for anything else. */
export function webAddress(text) {
  if (typeof text !== "string" || !/^https?:\/\//i.test(text)) return null;
  try {
    return new URL(text).href;
  } catch {
    return null;
  }
}

/** The words that stand for a row: its caption, else its picture's path within the folder, else its id. */
export function rowName(row) {
  if (hasCaption(row)) return row.caption;
  return typeof row.image_path === "string" && row.image_path ? row.image_path : `Row ${row.id}`;
}

export function hasCaption(row) {
  return typeof row.caption === "string" && row.caption.trim() !== "";
}

/** Return the host of a row's address, without `www.`; empty if it has none. */
export function domainOf(row) {
  const address = webAddress(row.url);
  return address ? new URL(address).hostname.replace(/^www\./, "") : "";
}

/** Return "640 × 480" where a row says it, else "". */
export function sizeOf(row) {
  return ratioOf(row) === null ? "" : `${row.width} × ${row.height}`;
}

/** Fill `place` with the row's picture; if it cannot be loaded, with its caption. `size` is as in `loadPicture`. */
export function showPicture(place, row, collection, size) {
  const image = loadPicture(row, collection, size, { onDead: () => place.replaceChildren(placeholder(rowName(row))) });
  if (image) place.replaceChildren(image);
}

/**
 * Return an <img> that tries the places of the row's picture one after the other; null if there is none. `size` is
 * the longer side of a local picture in pixels. `onShown()` or `onDead()` is called once.
 */
export function loadPicture(row, collection, size, { onShown = () => {}, onDead }) {
  const places = pictureSources(row, collection, size);
  if (places.length === 0) {
    queueMicrotask(onDead); // always after this has returned
    return null;
  }
  const image = emptyImage(row);
  const next = async () => {
    const source = places.shift();
    if (source === undefined) onDead();
    else image.src = await source();
  };
  const tryNext = () => next().catch(tryNext);
  image.addEventListener("error", tryNext);
  image.addEventListener("load", () => {
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    onShown();
  });
  tryNext();
  return image;
}

function emptyImage(row) {
  const image = new Image();
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  image.draggable = false;
  image.referrerPolicy = "no-referrer";
  image.className = ratioOf(row) === null ? "whole" : "filling";
  return image;
}

/** Where the row's picture may be: functions that give an address, the best first. */
export function pictureSources(row, collection, size) {
  const found = [];
  if (collection.pictures && row.image_path) {
    const path = picturePath(row, collection, size);
    found.push(() => pictureAddress(path), () => pictureAfterBusy(path));
  }
  const address = webAddress(row.url);
  if (address) found.push(() => address);
  return found;
}

/** Return the path of a row's local picture. */
export function picturePath(row, collection, size) {
  return `api/items/${row.id}/picture?${new URLSearchParams({ size, collection: collection.name })}`;
}

/** What stands in a picture's place. */
export function placeholder(words) {
  const dead = document.getElementById("dead").content.cloneNode(true);
  dead.querySelector(".dead-caption").textContent = words;
  return dead;
}
