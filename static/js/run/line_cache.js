// The lines of a log that are here, in pages; the others are fetched when they are wanted.

const PAGE = 200;
const MOST_CHARACTERS = 8_000_000;

export class LineCache {
  /** `fetchLines(first, count)` resolves to {first, lines}; `onChange()` is called when lines have come. */
  constructor(fetchLines, onChange) {
    this.fetchLines = fetchLines;
    this.onChange = onChange;
    this.pages = new Map();
    this.asked = new Set();
    this.characters = 0;
  }

  /** The line, or undefined while it is not here. */
  get(line) {
    return this.pages.get(Math.floor(line / PAGE))?.[line % PAGE];
  }

  /** Takes lines that are known, beginning with line `first`. A page keeps an unbroken beginning of itself. */
  put(first, lines) {
    lines.forEach((text, place) => {
      const line = first + place;
      const number = Math.floor(line / PAGE);
      const page = this.pages.get(number) ?? [];
      if (line % PAGE > page.length) return;
      this.characters += text.length - (page[line % PAGE]?.length ?? 0);
      page[line % PAGE] = text;
      this.pages.delete(number); // the page used last stands last
      this.pages.set(number, page);
    });
    this.#shed();
  }

  /** Fetches what is missing of the lines `first` to `end`. */
  want(first, end) {
    for (let number = Math.floor(first / PAGE); number * PAGE < end; number += 1) {
      const missing = Math.max(first, number * PAGE);
      const upTo = Math.min(end, (number + 1) * PAGE);
      if (this.asked.has(number) || (this.get(missing) !== undefined && this.get(upTo - 1) !== undefined)) continue;
      this.#ask(number);
    }
  }

  async #ask(number) {
    this.asked.add(number);
    try {
      const answer = await this.fetchLines(number * PAGE, PAGE);
      this.put(answer.first, answer.lines);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2000)); // the server is away; the next look asks again
    } finally {
      this.asked.delete(number);
    }
    this.onChange();
  }

  #shed() {
    for (const [number, page] of this.pages) {
      if (this.characters <= MOST_CHARACTERS) return;
      this.pages.delete(number);
      this.characters -= page.reduce((sum, text) => sum + text.length, 0);
    }
  }
}
