// Safe mode: only rows known to be safe. The service applies it to searches, by default if the collection says which
// rows are safe. This applies the same rule to rows that are shown without a search.

const MAX_PUNSAFE = 0.5; // LAION's own limit
const TAG = "UNLIKELY";

/** Whether safe mode is available and on. */
export function isSafeMode(state, collection) {
  return collection.safe && state.safe !== "0";
}

/** Whether a row is known to be safe. */
export function isSafe(row, { columns }) {
  if (columns.some(({ name }) => name === "punsafe")) return typeof row.punsafe === "number" && row.punsafe < MAX_PUNSAFE;
  return row.nsfw === TAG;
}
