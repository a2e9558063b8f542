/* Asks for fragments again while they show something that moves: every element with data-live gets a "refresh" event,
   which its hx-trigger waits for, every few seconds (data-live="seconds", 3 by default) while the page is seen. */

const DEFAULT_S = 3;
const asked = new Map();

const tick = () => {
  if (document.hidden || !window.htmx) return;
  const now = Date.now();
  document.querySelectorAll("[data-live][id]").forEach((element) => {
    const every = (Number(element.dataset.live) || DEFAULT_S) * 1000;
    if (now - (asked.get(element.id) ?? started) < every) return;
    asked.set(element.id, now);
    window.htmx.trigger(element, "refresh");
  });
};

const started = Date.now();
setInterval(tick, 500);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) asked.clear();
  tick();
});
