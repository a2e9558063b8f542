// What every tab does: the head's live parts, the pause button, the cancel dialog, the overview's last lines.

import { duration } from "./format.js";
import { attachTails } from "./log_tail.js";
import { refreshParts } from "./parts.js";
import { isFinal, live, noteState, runState } from "./session.js";
import { watchTiles } from "./tiles.js";

const EARLY = ["submitted", "preparing", "waiting", "starting"];
const EARLY_LOOK_MS = 2500;
const LOST_LOOK_MS = 15_000;

let status = "connecting";
let told = "";

function showStatus({ detail }) {
  status = detail.status;
  const box = document.querySelector("[data-live]");
  box.hidden = isFinal();
  box.dataset.status = detail.status;
  box.querySelector("[data-live-words]").textContent = detail.words;
  const pause = box.querySelector("[data-live-pause]");
  pause.hidden = detail.status === "over";
  const paused = detail.status === "paused";
  pause.setAttribute("aria-pressed", String(paused));
  pause.title = paused ? "Resume live updates" : "Pause live updates";
  pause.querySelector('[data-when="running"]').hidden = paused;
  pause.querySelector('[data-when="paused"]').hidden = !paused;
}

function showState({ detail: run }) {
  const { progress, ...rest } = run;
  const before = runState();
  noteState(run.state, run.is_final);
  showProgress(progress ?? {});
  const words = JSON.stringify(rest);
  if (words === told) return;
  told = words;
  document.querySelector("[data-live]").hidden = run.is_final;
  if (before !== run.state) document.querySelector("[data-announce]").textContent = `The run is now ${run.label.toLowerCase()}.`;
  refreshParts();
}

function showProgress(progress) {
  const box = document.querySelector("[data-progress]");
  if (!box || !("epoch" in progress || "batch" in progress)) return;
  const words = progressWords(progress);
  if (!words) return;
  box.hidden = false;
  box.querySelector("[data-progress-words]").textContent = words;
  const share = progressShare(progress);
  const bar = box.querySelector("[data-progress-bar]");
  if (share !== null) {
    bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    bar.firstElementChild.style.width = `${(share * 100).toFixed(1)}%`;
  }
  const eta = box.querySelector("[data-progress-eta]");
  if (Number.isFinite(progress.eta_s) && runState() === "running") eta.textContent = etaWords(progress.eta_s);
  else eta.textContent = share === null ? "" : `${Math.round(share * 100)} %`;
}

const etaWords = (seconds) => seconds < 10 ? "a few seconds left" : `about ${duration(seconds)} left`;

function progressWords({ epoch, epochs, batch, batches }) {
  if (Number.isFinite(epoch)) return epochs ? `Epoch ${epoch} of ${epochs}` : `Epoch ${epoch}`;
  if (Number.isFinite(batch)) return batches ? `Batch ${batch} of ${batches}` : `Batch ${batch}`;
  return "";
}

/** The share that is done, 0 to 1, or null. The epoch under way counts by its batches where those are known. */
function progressShare({ epoch, epochs, batch, batches }) {
  const within = Number.isFinite(batch) && batches ? Math.min(batch / batches, 1) : null;
  if (Number.isFinite(epoch) && epochs) {
    return Math.min(Math.max((within === null ? epoch : epoch - 1 + within) / epochs, 0), 1);
  }
  return Number.isFinite(epoch) ? null : within;
}

function tick() {
  if (document.hidden || status === "paused") return;
  for (const place of document.querySelectorAll("[data-ticks]:not([data-until])")) {
    place.textContent = duration((Date.now() - Date.parse(place.dataset.ticks)) / 1000);
  }
}

/** Before the script speaks, and while the socket is away, the page looks for itself now and then. */
function lookNowAndThen() {
  let looked = Date.now();
  setInterval(() => {
    if (document.hidden || isFinal() || status === "paused" || status === "over") return;
    const every = EARLY.includes(runState()) ? EARLY_LOOK_MS : status === "live" ? Infinity : LOST_LOOK_MS;
    if (Date.now() - looked < every) return;
    looked = Date.now();
    refreshParts();
  }, 500);
}

/** Links with data-dialog open their dialog; without JavaScript they lead to a page that asks the same. */
function dialogLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    document.getElementById(link.dataset.dialog).showModal();
  });
}

function copyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      const words = button.querySelector("span");
      words.textContent = "Copied";
      setTimeout(() => { words.textContent = "Copy"; }, 1500);
    });
  }
}

document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
dialogLinks();
copyButtons();
attachTails();
watchTiles();
document.addEventListener("trainhouse:parts", attachTails);
setInterval(tick, 1000);

if (!isFinal()) {
  live.addEventListener("status", showStatus);
  live.addEventListener("state", showState);
  live.addEventListener("files", refreshParts);
  document.querySelector("[data-live-pause]").addEventListener("click", () => {
    if (live.paused) live.resume();
    else live.pause();
  });
  lookNowAndThen();
  live.start();
}
