/* Moments in the person's own time zone: the server writes UTC into every time element, with the exact moment in its
   datetime attribute. */

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

const words = (moment) => {
  const now = new Date();
  if (moment.toDateString() === now.toDateString()) return clock.format(moment);
  if (moment.getFullYear() === now.getFullYear()) return day.format(moment).replace(",", "");
  return date.format(moment);
};

const localise = (root) => {
  root.querySelectorAll("time[datetime]:not([data-local])").forEach((element) => {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    element.dataset.local = "";
    element.textContent = words(moment);
    element.title = full.format(moment);
  });
};

localise(document);
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) {
    for (const node of addedNodes) if (node instanceof Element) localise(node.parentElement ?? node);
  }
}).observe(document.body, { childList: true, subtree: true });
