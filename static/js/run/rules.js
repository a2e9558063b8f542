// The rules of the live connection, as pure functions.

/** Close codes after which the page does not come back, with what it says. */
const FINAL_CLOSES = {
  4401: "Signed out",
  4403: "No longer yours to see",
  4404: "This run is gone",
};

const LEAST_DELAY_MS = 500;
const MOST_DELAY_MS = 30_000;

/** What to say when `code` is final; null when the page should come back. */
export function finalClose(code) {
  return FINAL_CLOSES[code] ?? null;
}

/** Full jitter: anything up to an exponentially growing bound, never under half a second. `attempt` counts from 0. */
export function backoffMs(attempt, random = Math.random) {
  const bound = Math.min(MOST_DELAY_MS, LEAST_DELAY_MS * 2 ** Math.min(attempt + 1, 10));
  return Math.max(LEAST_DELAY_MS, Math.round(random() * bound));
}

/**
 * What to do with a log frame when everything up to byte `cursor` is here: "take" it, take its "tail" alone, "drop"
 * it because it is old, or watch "again" because something lies between.
 */
export function judgeLog(cursor, frame) {
  if (frame.from === cursor) return frame.to === cursor ? "tail" : "take";
  return frame.to <= cursor ? "drop" : "again";
}

/**
 * From which point of a frame of `size` points, the first having index `from`, to take when the next one wanted is
 * `cursor`: 0 for all, `size` for none, -1 when points are missing in between.
 */
export function firstNew(cursor, from, size) {
  if (from > cursor) return -1;
  return Math.min(cursor - from, size);
}
