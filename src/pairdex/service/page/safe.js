// Safe mode: only rows that are known to be safe, by LAION's score (pairdex score --nsfw) where the collection has
// it, or else by the release's tag. A row without either is not known to be safe.

const MAX_PUNSAFE = 0.5; // LAION's own limit
const TAG = "UNLIKELY";

/** The SQL condition of safe mode; null where the collection has neither score nor tag. */
export function safeFilter({ columns }) {
  const has = (name) => columns.some((column) => column.name === name);
  if (has("punsafe")) return `punsafe < ${MAX_PUNSAFE}`;
  return has("nsfw") ? `nsfw = '${TAG}'` : null;
}

/** Whether a row passes it. */
export function isSafe(row, { columns }) {
  if (columns.some(({ name }) => name === "punsafe")) return typeof row.punsafe === "number" && row.punsafe < MAX_PUNSAFE;
  return row.nsfw === TAG;
}
