// A row's picture: the local one, else the one at its address, else a placeholder with the caption.

import { pictureAddress } from "./api.js";

const RATIOS = { least: 0.55, most: 2.4 }; // width / height of a tile; beyond, the picture stands inside it

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

export function captionOf(row) {
  return typeof row.caption === "string" && row.caption.trim() ? row.caption : `Row ${row.id}`;
}

/** Fill `place` with the row's picture; `size` is the longer side of a local picture in pixels. */
export function showPicture(place, row, collection, size) {
  const image = new Image();
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  image.draggable = false;
  image.referrerPolicy = "no-referrer";
  image.className = ratioOf(row) === null ? "whole" : "filling";
  const places = pictureSources(row, collection, size);
  const next = async () => {
    const source = places.shift();
    if (source === undefined) place.replaceChildren(placeholder(row));
    else image.src = await source();
  };
  const tryNext = () => next().catch(tryNext);
  image.addEventListener("error", tryNext);
  image.addEventListener("load", () => {
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  });
  place.replaceChildren(image);
  tryNext();
}

/** Where the row's picture may be: functions that give an address, the best first. */
export function pictureSources(row, collection, size) {
  const found = [];
  if (collection.pictures && row.image_path) {
    const query = new URLSearchParams({ size, collection: collection.name });
    found.push(() => pictureAddress(`/api/items/${row.id}/picture?${query}`));
  }
  const address = webAddress(row.url);
  if (address) found.push(() => address);
  return found;
}

function placeholder(row) {
  const dead = document.getElementById("dead").content.cloneNode(true);
  dead.querySelector(".dead-caption").textContent = captionOf(row);
  return dead;
}
