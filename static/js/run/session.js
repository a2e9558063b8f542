// The run of this page and its one live connection, shared by the page's modules.

import { Live } from "./live.js";

const head = document.querySelector("[data-run-page]");

export const runId = Number(head.dataset.run);
export const isFinal = () => "final" in head.dataset;
export const runState = () => head.dataset.state;

/** Notes the state that the server told last. */
export function noteState(state, final) {
  head.dataset.state = state;
  head.toggleAttribute("data-final", final);
}

/** An address below this run's: `runUrl("series.json")`. */
export const runUrl = (rest) => `/runs/${runId}/${rest}`;

const scheme = location.protocol === "https:" ? "wss" : "ws";
export const live = new Live(`${scheme}://${location.host}/ws/runs/${runId}/`);

/** The JSON at `url`. Rejects for anything but a good answer. */
export async function getJson(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json();
}
