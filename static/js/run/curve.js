// One curve's points, as plain arrays of our own; and what is drawn of them. Pure.

/** Points in the order of their indexes. `next` is the index of the point that is wanted next. */
export class Curve {
  constructor() {
    this.steps = [];
    this.times = [];
    this.values = [];
    this.next = 0;
    this.notFinite = 0;
  }

  /** Everything anew, from series.json. */
  set({ steps, times, values, count, not_finite: notFinite }) {
    this.steps = steps;
    this.times = times;
    this.values = values;
    this.next = count;
    this.notFinite = notFinite;
  }

  /** The points of a frame from its place `first` on. */
  add(points, first) {
    for (let place = first; place < points.values.length; place += 1) {
      const value = finite(points.values[place]);
      this.steps.push(points.steps[place]);
      this.times.push(points.times[place]);
      this.values.push(value);
      if (value === null) this.notFinite += 1;
    }
    this.next = points.from + points.values.length;
  }

  get length() {
    return this.values.length;
  }
}

/** `value` when it is a finite number, else null: a gap. */
export function finite(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/**
 * Exponential moving average with weight 0 to 1, corrected for its beginning so that the first value is itself. Gaps
 * stay gaps and do not disturb the average.
 */
export function smoothed(values, weight) {
  let average = 0;
  let debt = 1;
  return values.map((value) => {
    if (value === null) return null;
    average = average * weight + value * (1 - weight);
    debt *= weight;
    return average / (1 - debt);
  });
}

/** The x values of a curve: its steps, the seconds since `origin`, or milliseconds of the clock. */
export function across(curve, axis, origin) {
  if (axis === "step") return curve.steps;
  if (axis === "wall") return curve.times.map((time) => time * 1000);
  return curve.times.map((time) => time - origin);
}

/** Marker sizes that make a point without neighbours visible, which a line alone would not draw. */
export function markerSizes(values, size) {
  return values.map((value, place) => {
    const alone = value !== null && (values[place - 1] ?? null) === null && (values[place + 1] ?? null) === null;
    return alone ? size : 0;
  });
}

/** The unit in which `seconds` read best: [divisor, word]. */
export function timeUnit(seconds) {
  if (seconds >= 2 * 86400) return [86400, "days"];
  if (seconds >= 2 * 3600) return [3600, "hours"];
  if (seconds >= 300) return [60, "minutes"];
  return [1, "seconds"];
}

/** The newest `most` steps as rows [step, value of each curve], newest first. */
export function tableRows(curves, most) {
  const rows = new Map();
  curves.forEach((curve, column) => {
    for (let place = Math.max(0, curve.length - most); place < curve.length; place += 1) {
      const step = curve.steps[place];
      if (!rows.has(step)) rows.set(step, new Array(curves.length).fill(undefined));
      rows.get(step)[column] = curve.values[place];
    }
  });
  return [...rows].sort((a, b) => b[0] - a[0]).slice(0, most).map(([step, values]) => [step, ...values]);
}
