// The socket of a run: keeps cursors, comes back after a loss, and hands frames to whoever shows them.

import { backoffMs, finalClose, firstNew, judgeLog } from "./rules.js";

const REWATCH_PAUSE_MS = 250;

/**
 * Emits "status" (detail: {status, words}), "state" (detail: the run as the server sees it), "files", and "unknown"
 * (a series that no watcher knows). Logs and series are watched by `watchLog` and `watchSeries`.
 */
export class Live extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.socket = null;
    this.attempt = 0;
    this.timer = null;
    this.version = "";
    this.files = "";
    this.paused = false;
    this.over = false;
    this.logs = new Map();
    this.series = null;
    this.rewatchTimer = null;
    window.addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#hurry();
    });
  }

  /** `cursor()` is the byte offset up to which the lines are here; `take(frame)` gets frames that begin there. */
  watchLog(id, { cursor, take }) {
    this.logs.set(Number(id), { cursor, take });
    this.watch();
  }

  unwatchLog(id) {
    if (this.logs.delete(Number(id))) this.watch();
  }

  /** `cursors()` gives {series id: next index}; `take(id, points, first)` gets points of which `first` is the first new one. */
  watchSeries(kind, { cursors, take }) {
    this.series = { kind, cursors, take };
    this.watch();
  }

  start() {
    if (this.socket || this.paused || this.over) return;
    clearTimeout(this.timer);
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.#say(this.attempt ? "reconnecting" : "connecting", this.attempt ? "Reconnecting" : "Connecting");
    socket.addEventListener("open", () => {
      this.attempt = 0;
      this.#say("live", "Live");
      this.#send();
    });
    socket.addEventListener("message", (event) => {
      if (this.socket === socket) this.#receive(JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => {
      if (this.socket === socket) this.#lost(event.code);
    });
  }

  pause() {
    this.paused = true;
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.#say("paused", "Paused");
  }

  resume() {
    this.paused = false;
    this.attempt = 0;
    this.start();
  }

  /** Tells the server soon what is shown now and from where on it is missing. */
  watch() {
    if (this.rewatchTimer) return;
    this.rewatchTimer = setTimeout(() => {
      this.rewatchTimer = null;
      this.#send();
    }, 0);
  }

  #watchAgain() {
    if (this.rewatchTimer) return;
    this.rewatchTimer = setTimeout(() => {
      this.rewatchTimer = null;
      this.#send();
    }, REWATCH_PAUSE_MS);
  }

  #send() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const logs = {};
    for (const [id, log] of this.logs) logs[id] = log.cursor();
    const message = { type: "watch", state: this.version, files: this.files, logs, series: null };
    if (this.series) {
      message.series = this.series.cursors();
      message.kind = this.series.kind;
    }
    this.socket.send(JSON.stringify(message));
  }

  #receive(frame) {
    if (frame.type === "state") {
      this.version = frame.version;
      this.dispatchEvent(new CustomEvent("state", { detail: frame.run }));
    } else if (frame.type === "log") {
      this.#receiveLog(frame);
    } else if (frame.type === "points") {
      this.#receivePoints(frame);
    } else if (frame.type === "files") {
      this.files = frame.version;
      this.dispatchEvent(new CustomEvent("files"));
    }
  }

  #receiveLog(frame) {
    const log = this.logs.get(Number(frame.stream));
    if (!log) return;
    const verdict = judgeLog(log.cursor(), frame);
    if (verdict === "again") this.#watchAgain();
    else if (verdict !== "drop") log.take(frame);
  }

  #receivePoints(frame) {
    if (!this.series) return;
    const cursors = this.series.cursors();
    for (const [id, points] of Object.entries(frame.series)) {
      if (!(id in cursors)) {
        this.dispatchEvent(new CustomEvent("unknown", { detail: { id } }));
        continue;
      }
      const first = firstNew(cursors[id], points.from, points.values.length);
      if (first < 0) this.#watchAgain();
      else if (first < points.values.length) this.series.take(id, points, first);
    }
  }

  #lost(code) {
    this.socket = null;
    const words = finalClose(code);
    if (words) {
      this.over = true;
      this.#say("over", words);
      return;
    }
    const delay = backoffMs(this.attempt);
    this.attempt += 1;
    this.#say("reconnecting", "Reconnecting");
    this.timer = setTimeout(() => this.start(), delay);
  }

  /** The network or the person came back: no reason to sit out a long pause. */
  #hurry() {
    if (this.socket || this.paused || this.over || !this.attempt) return;
    this.attempt = 1;
    this.start();
  }

  #say(status, words) {
    this.dispatchEvent(new CustomEvent("status", { detail: { status, words } }));
  }
}
