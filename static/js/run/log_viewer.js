// A window on a log of any length: only the lines in view are elements.
//
// The scrolled box holds a spacer of the whole height (capped, see scroll_map.js) and, stuck to the top of the view, a
// layer with the rows in view. `top` is the line at the top, with its fraction; the scroll bar follows it or leads it.

import { lineFragment } from "./ansi.js";
import { LineCache } from "./line_cache.js";
import { contentHeight, isDirect, lastTop, ROW, scrollAt, topAt } from "./scroll_map.js";

const KEYS = { ArrowUp: -1, ArrowDown: 1 };

export class LogViewer extends EventTarget {
  /** Emits "follow" when following begins or ends, and "size" when the number of lines changes. */
  constructor(box, fetchLines) {
    super();
    this.box = box;
    this.total = 0;
    this.rest = "";
    this.top = 0;
    this.isFollowing = true;
    this.isWrapped = false;
    this.target = null;
    this.rows = new Map();
    this.frame = null;
    this.cache = new LineCache(fetchLines, () => this.#soon());
    this.spacer = document.createElement("div");
    this.spacer.className = "spacer";
    this.layer = document.createElement("div");
    this.layer.className = "layer";
    this.sheet = document.createElement("div");
    this.sheet.className = "sheet";
    this.layer.append(this.sheet);
    this.spacer.append(this.layer);
    box.replaceChildren(this.spacer);
    box.addEventListener("scroll", () => this.#scrolled());
    box.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    box.addEventListener("keydown", (event) => this.#pressed(event));
    new ResizeObserver(() => this.#resized()).observe(box);
  }

  /** Lines that came with a page of lines.json, and what is known of the whole. */
  take({ first, lines, total, rest }) {
    this.cache.put(first, lines);
    this.setTotal(total, rest);
  }

  /** A frame of the socket: lines that follow everything that is known. */
  append(frame) {
    this.cache.put(frame.first_line, frame.lines);
    this.setTotal(frame.first_line + frame.lines.length, frame.tail);
  }

  setTotal(total, rest) {
    const grew = total !== this.total;
    this.total = total;
    this.rest = rest ?? "";
    if (grew) this.dispatchEvent(new Event("size"));
    if (this.isFollowing) this.top = lastTop(this.count, this.view);
    this.#soon();
  }

  /** Lines with the unfinished one. */
  get count() {
    return this.total + (this.rest ? 1 : 0);
  }

  get view() {
    return this.box.clientHeight;
  }

  follow(wanted) {
    if (wanted !== this.isFollowing) {
      this.isFollowing = wanted;
      this.dispatchEvent(new Event("follow"));
    }
    if (wanted) this.#goTo(lastTop(this.count, this.view));
  }

  wrap(wanted) {
    this.isWrapped = wanted;
    this.box.classList.toggle("wrapped", wanted);
    this.#soon();
  }

  /** Marks line `line` (from 0), and brings it into the upper third of the view when it is not in view. */
  show(line) {
    this.target = line;
    this.follow(false);
    const isInView = line >= this.top && line + 1 <= this.top + this.view / ROW;
    this.#goTo(isInView ? this.top : line - Math.floor(this.view / ROW / 3));
  }

  #goTo(top) {
    this.top = Math.min(Math.max(0, top), lastTop(this.count, this.view));
    this.#soon();
  }

  /** By the person: going up lets the end go, reaching the end holds on to it again. */
  #moveTo(top) {
    this.#goTo(top);
    this.follow(this.top >= lastTop(this.count, this.view) - 0.5);
  }

  #scrolled() {
    if (Math.abs(this.box.scrollTop - (this.placed ?? 0)) < 1.5) return; // our own doing
    this.placed = this.box.scrollTop;
    this.#moveTo(topAt(this.box.scrollTop, this.count, this.view));
  }

  #wheeled(event) {
    if (event.ctrlKey || event.shiftKey || !event.deltaY || isDirect(this.count)) return;
    event.preventDefault();
    const unit = [1 / ROW, 1, this.view / ROW][event.deltaMode] ?? 1;
    this.#moveTo(this.top + event.deltaY * unit);
  }

  #pressed(event) {
    if (event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.view / ROW) - 1);
    const steps = { ...KEYS, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    const step = event.key === " " ? (event.shiftKey ? -page : page) : steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.#moveTo(this.top + step);
  }

  #resized() {
    if (this.isFollowing) this.top = lastTop(this.count, this.view);
    this.#soon();
  }

  #soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#paint();
    });
  }

  #paint() {
    const first = Math.floor(this.top);
    const end = Math.min(this.count, first + Math.ceil(this.view / ROW) + 1);
    this.cache.want(first, Math.min(end, this.total));
    this.spacer.style.height = `${contentHeight(this.count, this.view)}px`;
    this.layer.style.height = `${this.view}px`;
    const kept = new Map();
    for (let line = first; line < end; line += 1) {
      const text = line < this.total ? this.cache.get(line) : this.rest;
      kept.set(line, this.#row(line, text));
    }
    this.rows.forEach((row, line) => { if (kept.get(line) !== row) row.remove(); });
    this.rows = kept;
    let before = null;
    for (const row of kept.values()) {
      if (before ? before.nextSibling !== row : this.sheet.firstChild !== row) {
        if (before) before.after(row);
        else this.sheet.prepend(row);
      }
      before = row;
    }
    this.#place(first);
  }

  #place(first) {
    const atEnd = this.isWrapped && this.top >= lastTop(this.count, this.view) - 0.01;
    this.layer.classList.toggle("at-end", atEnd && this.count * ROW > this.view);
    const height = this.sheet.firstElementChild?.offsetHeight ?? ROW;
    this.sheet.style.transform = atEnd ? "" : `translateY(${-(this.top - first) * height}px)`;
    const wanted = scrollAt(this.top, this.count, this.view);
    if (Math.abs(this.box.scrollTop - wanted) > 0.5) this.box.scrollTop = wanted;
    this.placed = this.box.scrollTop;
  }

  #row(line, text) {
    const known = this.rows.get(line);
    if (known && known.text === text && known.isTarget === (line === this.target)) return known;
    const row = document.createElement("div");
    row.className = line === this.target ? "row target" : "row";
    row.text = text;
    row.isTarget = line === this.target;
    const number = document.createElement("a");
    number.className = "ln";
    number.tabIndex = -1;
    number.href = `#L${line + 1}`;
    number.textContent = String(line + 1);
    const words = document.createElement("span");
    words.className = "words";
    if (text === undefined) words.classList.add("coming");
    else words.append(lineFragment(text));
    row.append(number, words);
    return row;
  }
}
