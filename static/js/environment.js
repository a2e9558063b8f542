/* The page of an environment: the log stays at its end while it grows, the comparison starts when it is chosen. */

const NEAR_PX = 24;
let wasAtEnd = true;

const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
const box = () => document.querySelector("[data-follow-end]");
const toEnd = () => {
  const log = box();
  if (log) log.scrollTop = log.scrollHeight;
};

let leftAt = 0;
document.addEventListener("htmx:beforeSwap", () => {
  const log = box();
  wasAtEnd = !log || atEnd(log);
  leftAt = log?.scrollTop ?? 0;
});
document.addEventListener("htmx:afterSwap", () => {
  if (wasAtEnd) toEnd();
  else box().scrollTop = leftAt;
});
document.addEventListener("change", (event) => {
  event.target.closest("[data-submit-on-change]")?.requestSubmit();
});
toEnd();
