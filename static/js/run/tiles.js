// The overview's key metrics: the socket says when they grow, the server draws them.

import { refreshParts } from "./parts.js";
import { isFinal, live } from "./session.js";

const PAUSE_MS = 2000;

let timer = null;

function soon() {
  timer ??= setTimeout(() => {
    timer = null;
    if (document.hidden) soon();
    else refreshParts();
  }, PAUSE_MS);
}

/** Watches every metric of the run; those that a tile shows bring the tiles up to date. */
export function watchTiles() {
  const place = () => document.querySelector("[data-tiles]");
  if (!place() || isFinal()) return;
  const cursors = {};
  const read = () => {
    for (const pair of place().dataset.cursors.split(" ").filter(Boolean)) {
      const [id, next] = pair.split(":");
      cursors[id] = Math.max(cursors[id] ?? 0, Number(next));
    }
  };
  read();
  document.addEventListener("trainhouse:parts", read);
  live.addEventListener("unknown", soon);
  live.watchSeries("metric", {
    cursors: () => cursors,
    take(id, points) {
      cursors[id] = points.from + points.values.length;
      if (place().dataset.shown.split(" ").includes(id)) soon();
    },
  });
}
