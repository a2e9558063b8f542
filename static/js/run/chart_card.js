// One chart: its curves, its drawing by Plotly, its table, its note.

import { across, Curve, markerSizes, smoothed, tableRows, timeUnit } from "./curve.js";
import { number, plainText } from "./format.js";
import { chartLayout, CONFIG } from "./look.js";
import { meanCurve } from "./mean.js";

const HEIGHT = 236;
const TABLE_ROWS = 200;
const SHOWN_NOT_FINITE = 100;

export class ChartCard {
  constructor(element, { onNear }) {
    this.element = element;
    this.plot = element.querySelector("[data-plot]");
    this.title = element.dataset.title;
    this.curves = new Map();
    this.labels = new Map();
    element.dataset.series.split(",").forEach((id, place) => {
      const curve = new Curve();
      curve.next = Number(element.dataset.counts.split(",")[place]);
      this.curves.set(id, curve);
      const label = element.querySelectorAll("[data-label]")[place];
      this.labels.set(id, { text: label.dataset.label, base: label.dataset.base, second: "second" in label.dataset, place });
    });
    this.isLoaded = false;
    this.isNear = false;
    this.isDirty = true;
    this.observer = new IntersectionObserver(([entry]) => {
      this.isNear = entry.isIntersecting;
      if (this.isNear) onNear(this);
    }, { rootMargin: "200px" });
    this.observer.observe(element);
    element.querySelector("[data-table]").addEventListener("toggle", () => this.#fillTable());
  }

  forget() {
    this.observer.disconnect();
    if (this.isDrawn) window.Plotly.purge(this.plot);
  }

  /** Everything anew, from series.json. */
  load(answers) {
    for (const answer of answers) this.curves.get(String(answer.id))?.set(answer);
    this.isLoaded = true;
    this.isDirty = true;
  }

  /** New points of the series `id`; before the first load only counted. */
  add(id, points, first) {
    const curve = this.curves.get(id);
    if (this.isLoaded) curve.add(points, first);
    else curve.next = points.from + points.values.length;
    this.isDirty = true;
  }

  /** How many points are drawn; when they become too many the server thins them out. */
  get size() {
    return Math.max(...[...this.curves.values()].map((curve) => curve.length));
  }

  draw({ axis, isLog, isMean, smooth, origin, colours }) {
    if (!this.isLoaded || !window.Plotly) return;
    this.isDirty = false;
    const curves = this.#shown(isMean, axis);
    const drawn = this.#traces(curves, { axis, smooth, origin, colours });
    const layout = chartLayout({
      colours, axis, isLog, fromZero: !!this.element.dataset.unit, height: HEIGHT, xTitle: drawn.xTitle,
      hasLegend: curves.length > 1, revision: `${axis}-${isLog}-${isMean}`,
    });
    if (!this.isDrawn) this.plot.replaceChildren();
    this.isDrawn = true;
    window.Plotly.react(this.plot, drawn.traces, layout, { ...CONFIG, toImageButtonOptions: { filename: this.title.replace(/\W+/g, "-") } });
    this.plot.setAttribute("role", "group");
    this.plot.setAttribute("aria-label", `Chart of ${this.title}; its data is in the table below`);
    this.plot.dataset.points = String([...this.curves.values()].reduce((sum, curve) => sum + curve.next, 0));
    this.#showValues(curves);
    this.#showNote();
    this.#fillTable();
  }

  /** What is drawn, as [curve, label]: every curve, or one for all those of a name. */
  #shown(isMean, axis) {
    const all = [...this.curves].map(([id, curve]) => [curve, this.labels.get(id)]);
    if (!isMean) return all;
    const byBase = new Map();
    for (const [curve, label] of all) byBase.set(label.base, [...(byBase.get(label.base) ?? []), [curve, label]]);
    return [...byBase].map(([base, members]) => [
      meanCurve(members.map(([curve]) => curve), axis === "step" ? "steps" : "times"),
      { ...members[0][1], text: members.length > 1 ? `${base}, mean of ${members.length}` : members[0][1].text },
    ]);
  }

  #traces(curves, { axis, smooth, origin, colours }) {
    const [divisor, word] = axis === "relative" ? timeUnit(this.#lastTime() - origin) : [1, ""];
    const traces = [];
    const smoothing = [];
    let place = 0;
    for (const [curve, { text, second }] of curves) {
      const colour = colours.curves[place % colours.curves.length];
      place += 1;
      const x = across(curve, axis, origin).map((value) => value / divisor);
      const sizes = markerSizes(curve.values, 6);
      const base = {
        type: "scatter", mode: sizes.some(Boolean) ? "lines+markers" : "lines", connectgaps: false,
        line: { color: colour, width: 2, dash: second ? "4px,2px" : "solid" }, marker: { color: colour, size: sizes, line: { width: 0 } },
        hovertemplate: "%{y:.5g}", name: plainText(text), x,
      };
      if (smooth > 0 && curve.length > 2) {
        traces.push({ ...base, y: [...curve.values], opacity: 0.25, showlegend: false, hoverinfo: "skip", hovertemplate: undefined, line: { color: colour, width: 1 } });
        smoothing.push({ ...base, y: smoothed(curve.values, smooth) });
      } else {
        smoothing.push({ ...base, y: [...curve.values] });
      }
    }
    const xTitle = { step: "step", wall: "UTC", relative: `${word} since the start` }[axis];
    return { traces: [...traces, ...smoothing], xTitle };
  }

  #lastTime() {
    return Math.max(...[...this.curves.values()].map((curve) => curve.times.at(-1) ?? 0));
  }

  #showValues(curves) {
    const places = this.element.querySelectorAll("[data-label]");
    const shown = new Map(curves.map(([curve, label]) => [label.place, [curve, label]]));
    places.forEach((element, place) => {
      element.hidden = !shown.has(place);
      if (element.hidden) return;
      const [curve, { text }] = shown.get(place);
      element.title = text;
      if (curve.length) element.textContent = number(curve.values.at(-1) ?? NaN);
    });
  }

  #showNote() {
    const note = this.element.querySelector("[data-note]");
    const count = [...this.curves.values()].reduce((sum, curve) => sum + curve.notFinite, 0);
    note.hidden = count === 0;
    const least = count >= SHOWN_NOT_FINITE ? "At least " : "";
    note.textContent = count === 1 ? "1 value is not finite." : `${least}${count} values are not finite.`;
  }

  #fillTable() {
    const details = this.element.querySelector("[data-table]");
    if (!details.open || !this.isLoaded) return;
    const labels = [...this.labels.values()].map((label) => label.text);
    const head = row("th", ["Step", ...labels]);
    const body = tableRows([...this.curves.values()], TABLE_ROWS).map(([step, ...values]) =>
      row("td", [number(step), ...values.map((value) => (value === undefined ? "" : value === null ? "not finite" : number(value)))]));
    const table = details.querySelector("table");
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...body);
  }
}

function row(kind, words) {
  const line = document.createElement("tr");
  words.forEach((text) => {
    const cell = document.createElement(kind);
    cell.textContent = text;
    cell.className = kind === "td" ? "num" : "";
    if (kind === "th") cell.scope = "col";
    line.append(cell);
  });
  return line;
}
