// The last lines of a log on the overview, live.

import { lineFragment } from "./ansi.js";
import { getJson, isFinal, live, runUrl } from "./session.js";

const LINES = 14;

/** Brings every [data-log-tail] that is not yet live to life. */
export function attachTails() {
  for (const box of document.querySelectorAll("[data-log-tail]:not([data-attached])")) attach(box);
}

async function attach(box) {
  box.dataset.attached = "";
  const id = box.dataset.logTail;
  let page;
  try {
    page = await getJson(runUrl(`streams/${id}/lines.json?tail=${LINES}`));
  } catch {
    return; // the lines that came with the page stay
  }
  let { lines, rest, to } = page;
  const show = () => {
    const shown = [...lines, ...(rest ? [rest] : [])].slice(-LINES);
    if (!shown.length) return;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
    box.replaceChildren(...shown.flatMap((line) => [lineFragment(line), document.createTextNode("\n")]));
    if (atEnd) box.scrollTop = box.scrollHeight;
  };
  show();
  if (isFinal()) return;
  live.watchLog(id, {
    cursor: () => to,
    take(frame) {
      if (!box.isConnected) {
        live.unwatchLog(id);
        return;
      }
      lines = [...lines, ...frame.lines].slice(-LINES);
      to = frame.to;
      rest = frame.tail;
      requestAnimationFrame(show);
    },
  });
}
