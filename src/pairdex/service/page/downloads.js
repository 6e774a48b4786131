// Saves the results as a file, in one of the service's formats.

import { saved } from "./api.js";

const SUFFIXES = { jsonl: "jsonl", csv: "csv", parquet: "parquet", urls: "txt" };
const byId = (id) => document.getElementById(id);

/** `body()` gives the search whose results are shown; `onError(error)` is called on failure. */
export function listenToDownloads({ body, onError }) {
  const menu = byId("download");
  menu.addEventListener("click", async (event) => {
    const format = event.target.closest("button")?.value;
    if (!format) return;
    menu.open = false;
    try {
      const { offset: _, ...asked } = body();
      save(await saved("api/download", { ...asked, format }), `pairdex.${SUFFIXES[format]}`);
    } catch (error) {
      onError(error);
    }
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

/** Save some rows as CSV. */
export async function downloadRows(collection, ids) {
  const asked = { collection: collection.name, where: `id IN (${ids.join(", ")})`, safe: false, k: ids.length };
  save(await saved("api/download", { ...asked, format: "csv" }), "pairdex.csv");
}

/** Save a file under a name. */
export function save(blob, name) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
}
