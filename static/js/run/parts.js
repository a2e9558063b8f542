// The page's parts, brought up to date from the server's own rendering of the same address.
//
// A part is an element with data-part. It is replaced when its markup differs, except where both carry the same
// data-part-key: then what is inside looks after itself.

const PAUSE_MS = 1000;

let pending = null;
let last = 0;

/** Brings every part up to date soon, at most once a second. Afterwards the document emits "trainhouse:parts". */
export function refreshParts() {
  if (pending) return pending;
  const wait = Math.max(0, last + PAUSE_MS - Date.now());
  pending = new Promise((resolve) => setTimeout(resolve, wait)).then(fetchParts).finally(() => {
    pending = null;
    last = Date.now();
  });
  return pending;
}

async function fetchParts() {
  let text;
  try {
    const response = await fetch(location.pathname + location.search, { credentials: "same-origin" });
    if (!response.ok || response.redirected) return;
    text = await response.text();
  } catch {
    return; // the server is away; the live connection says so and comes back
  }
  const fresh = new DOMParser().parseFromString(text, "text/html");
  let changed = false;
  for (const part of document.querySelectorAll("[data-part]")) {
    const next = fresh.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (next) changed = replace(part, next) || changed;
  }
  document.dispatchEvent(new CustomEvent("trainhouse:parts", { detail: { fresh, changed } }));
}

function replace(part, next) {
  const key = part.dataset.partKey;
  if (key !== undefined ? key === next.dataset.partKey : withoutTokens(part) === withoutTokens(next)) return false;
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const opened = new Set([...part.querySelectorAll("details[open] > summary")].map((one) => one.textContent));
  const fresh = document.adoptNode(next);
  for (const summary of fresh.querySelectorAll("details > summary")) {
    if (opened.has(summary.textContent)) summary.parentElement.open = true;
  }
  part.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.focus();
  return true;
}

/** The markup without what differs at every rendering: the form's token, and times that tick. */
function withoutTokens(part) {
  const copy = part.cloneNode(true);
  copy.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((one) => one.remove());
  copy.querySelectorAll("[data-ticks]").forEach((one) => { one.textContent = ""; });
  copy.querySelectorAll("details[open]").forEach((one) => one.removeAttribute("open"));
  copy.querySelectorAll("[data-progress] *").forEach((one) => one.remove());
  return copy.innerHTML;
}
