// Writes counts and times as people read them: 1 row, 2,000 rows, 12 ms, 3.4 s.

export function number(count) {
  return count.toLocaleString("en");
}

/** A count with its regular noun in the singular or the plural. */
export function counted(count, noun) {
  return `${number(count)} ${count === 1 ? noun : `${noun}s`}`;
}

export function duration(seconds) {
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
}
