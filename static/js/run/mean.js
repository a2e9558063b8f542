// The mean of several curves, which need not have their points at the same places. Pure.

import { Curve } from "./curve.js";

/**
 * One curve for several: at every place where one of them has a point, the mean of all that reach so far. `key` is
 * "steps" or "times", by which they are laid over each other; between two points a curve is a straight line.
 */
export function meanCurve(curves, key) {
  const places = [...new Set(curves.flatMap((curve) => curve[key]))].sort((a, b) => a - b);
  const reads = curves.filter((curve) => curve.length).map((curve) => reader(curve[key], curve.values));
  const mean = new Curve();
  for (const place of places) {
    const values = reads.map((read) => read(place)).filter((value) => value !== null);
    mean.steps.push(place);
    mean.times.push(place);
    mean.values.push(values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
  }
  return mean;
}

/** Reads a curve at ever larger places; null where it has no value. */
function reader(places, values) {
  let at = 0;
  return (place) => {
    while (at + 1 < places.length && places[at + 1] <= place) at += 1;
    if (place < places[at]) return null;
    if (place === places[at]) return values[at];
    if (at + 1 >= places.length || values[at] === null || values[at + 1] === null) return null;
    const share = (place - places[at]) / (places[at + 1] - places[at]);
    return values[at] + share * (values[at + 1] - values[at]);
  };
}
