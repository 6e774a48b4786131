// Safe mode: only rows that are known to be safe. The service applies it to searches, and has it on where the
// collection can tell; rows that are shown without a search are looked at here, by the same rule.

const MAX_PUNSAFE = 0.5; // LAION's own limit
const TAG = "UNLIKELY";

/** Whether only safe rows are wanted and known. */
export function isSafeMode(state, collection) {
  return collection.safe && state.safe !== "0";
}

/** Whether a row is known to be safe. */
export function isSafe(row, { columns }) {
  if (columns.some(({ name }) => name === "punsafe")) return typeof row.punsafe === "number" && row.punsafe < MAX_PUNSAFE;
  return row.nsfw === TAG;
}
