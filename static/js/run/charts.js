// The Metrics and System tabs: cards are loaded when they come into view, grow through the socket, and are drawn at most
// once a second, in view only, and never while the page is hidden.

import { ChartBar } from "./chart_bar.js";
import { ChartCard } from "./chart_card.js";
import { chartColours } from "./look.js";
import { refreshParts } from "./parts.js";
import { getJson, isFinal, live, runUrl } from "./session.js";

const DRAW_EVERY_MS = 1000;
const POINTS = 1500;
const THIN_OUT_AT = 2 * POINTS;

const place = document.querySelector("[data-charts]");
const kind = place.dataset.charts;
const cards = new Map();
const cardOf = new Map();
const waiting = new Set();
const bar = new ChartBar(document.querySelector("[data-chart-bar]"), () => {
  showWanted();
  drawAll();
});
let filteredByServer = bar.choice.filter !== "";
let colours = chartColours();
let lastDraw = 0;

function adopt(element) {
  const card = new ChartCard(element, { onNear: near });
  cards.set(element.dataset.chart, card);
  for (const id of card.curves.keys()) cardOf.set(id, card);
}

function near(card) {
  if (card.isLoaded) {
    if (card.isDirty) drawSoon();
  } else {
    load(card);
  }
}

function load(card) {
  waiting.add(card);
  if (waiting.size === 1) queueMicrotask(loadWaiting);
}

/** One request for all charts that came into view together. */
async function loadWaiting() {
  const wanted = [...waiting];
  waiting.clear();
  const ids = wanted.flatMap((card) => [...card.curves.keys()]);
  for (let first = 0; first < ids.length; first += 50) {
    const query = new URLSearchParams({ kind, id: ids.slice(first, first + 50).join(","), most: POINTS });
    let answer;
    try {
      answer = await getJson(runUrl(`series.json?${query}`));
    } catch {
      setTimeout(() => wanted.forEach((card) => card.isNear && !card.isLoaded && load(card)), 3000);
      return;
    }
    for (const card of wanted) card.load(answer.series.filter((one) => card.curves.has(String(one.id))));
  }
  drawSoon(0);
  live.watch();
}

function drawAll() {
  cards.forEach((card) => { card.isDirty = true; });
  drawSoon(0);
}

let drawTimer = null;
let drawDue = Infinity;

function drawSoon(pause = DRAW_EVERY_MS) {
  const due = Math.max(lastDraw + pause, Date.now());
  if (drawTimer && due >= drawDue) return;
  clearTimeout(drawTimer);
  drawDue = due;
  drawTimer = setTimeout(draw, due - Date.now());
}

function draw() {
  drawTimer = null;
  drawDue = Infinity;
  if (document.hidden) return;
  lastDraw = Date.now();
  const choice = bar.choice;
  for (const card of cards.values()) {
    if (!card.isNear || !card.isDirty || card.element.hidden) continue;
    if (card.size > THIN_OUT_AT) load(card);
    card.draw({ ...choice, origin: origin(), colours });
  }
}

/** The moment that relative time counts from: the run's start, or the first point where that came before. */
function origin() {
  const started = Number(place.dataset.started) || Infinity;
  const first = Math.min(...[...cards.values()].flatMap((card) => [...card.curves.values()].map((curve) => curve.times[0] ?? Infinity)));
  return Math.min(started, first);
}

function showWanted() {
  const { filter } = bar.choice;
  if (filteredByServer) {
    filteredByServer = false;
    refreshParts();
  }
  let shown = 0;
  cards.forEach((card) => {
    const wanted = card.title.toLowerCase().includes(filter);
    card.element.hidden = !wanted;
    shown += wanted ? 1 : 0;
  });
  for (const section of place.querySelectorAll("[data-section]")) {
    section.hidden = !section.querySelector("[data-chart]:not([hidden])");
  }
  document.querySelector("[data-none-wanted]").hidden = shown > 0 || !filter;
}

/** Cards that the server draws and this page lacks are put in; a card whose curves became more is replaced. */
function merge({ detail: { fresh } }) {
  let changed = false;
  let above = null;
  for (const section of [...fresh.querySelectorAll("[data-section]")]) {
    const own = place.querySelector(`[data-section="${CSS.escape(section.dataset.section)}"]`);
    if (!own) {
      if (above) above.after(section);
      else place.prepend(section);
      section.querySelectorAll("[data-chart]").forEach(adopt);
      above = section;
      changed = true;
      continue;
    }
    above = own;
    const grid = own.querySelector(".chart-grid");
    let before = null;
    for (const element of [...section.querySelectorAll("[data-chart]")]) {
      let card = cards.get(element.dataset.chart);
      if (!card || card.element.dataset.series !== element.dataset.series) {
        const old = card;
        if (before) before.after(element);
        else grid.prepend(element);
        old?.forget();
        old?.element.remove();
        adopt(element);
        card = cards.get(element.dataset.chart);
        changed = true;
      }
      before = card.element;
    }
  }
  if (changed) {
    showWanted();
    live.watch();
  }
}

place.querySelectorAll("[data-chart]").forEach(adopt);
showWanted();
document.addEventListener("trainhouse:parts", merge);
document.addEventListener("trainhouse:theme", () => {
  colours = chartColours();
  drawAll();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) drawSoon(0);
});
if (!isFinal()) {
  live.addEventListener("unknown", () => {
    if (!bar.isPartial) refreshParts();
  });
  live.watchSeries(kind, {
    cursors: () => Object.fromEntries([...cardOf].map(([id, card]) => [id, card.curves.get(id).next])),
    take(id, points, first) {
      const card = cardOf.get(id);
      card.add(id, points, first);
      if (card.isNear) drawSoon();
    },
  });
}
