// The Logs tab: the viewer, its buttons, its permalinks, its part of the socket.

import { LogViewer } from "./log_viewer.js";
import { getJson, isFinal, live, runUrl } from "./session.js";

const FIRST_LINES = 400;
const AGAIN_MS = 3000;

let watched = null;

async function attach() {
  const box = document.querySelector("[data-log-viewer]:not([data-attached])");
  if (!box) return;
  box.dataset.attached = "";
  const id = box.dataset.logViewer;
  const lines = (query) => getJson(runUrl(`streams/${id}/lines.json?${new URLSearchParams(query)}`));
  const viewer = new LogViewer(box, (first, count) => lines({ first, count }));
  box.hidden = false;
  buttons(viewer);
  let cursor = 0;
  const page = await lines({ tail: FIRST_LINES }).catch(() => null);
  if (!page) {
    delete box.dataset.attached;
    setTimeout(attach, AGAIN_MS);
    return;
  }
  viewer.take(page);
  cursor = page.to;
  const goToHash = () => {
    const match = /^#L(\d+)$/.exec(location.hash);
    if (match) viewer.show(Math.max(0, Number(match[1]) - 1));
  };
  window.addEventListener("hashchange", goToHash);
  goToHash();
  if (isFinal()) return;
  if (watched !== null) live.unwatchLog(watched);
  watched = id;
  live.watchLog(id, {
    cursor: () => cursor,
    take(frame) {
      cursor = frame.to;
      viewer.append(frame);
    },
  });
}

function buttons(viewer) {
  const follow = document.querySelector("[data-log-follow]");
  const wrap = document.querySelector("[data-log-wrap]");
  const size = document.querySelector("[data-log-size]");
  follow.hidden = false;
  wrap.hidden = false;
  follow.onclick = () => viewer.follow(!viewer.isFollowing);
  viewer.addEventListener("follow", () => follow.setAttribute("aria-pressed", String(viewer.isFollowing)));
  wrap.onclick = () => {
    viewer.wrap(!viewer.isWrapped);
    wrap.setAttribute("aria-pressed", String(viewer.isWrapped));
  };
  viewer.addEventListener("size", () => {
    size.textContent = `${viewer.total.toLocaleString("en")} line${viewer.total === 1 ? "" : "s"}`;
  });
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-log-select]")) event.target.form.submit();
});
document.addEventListener("trainhouse:parts", attach);
attach();
