// A log's line as elements: colours become classes, everything else stays text.

import { AnsiUp } from "../../vendor/ansi_up.js";

const ESCAPE = "\x1b";

/** The line as a fragment. ansi_up escapes what is HTML in it; lines without colours never meet a parser at all. */
export function lineFragment(line) {
  const fragment = document.createDocumentFragment();
  if (!line.includes(ESCAPE)) {
    fragment.append(line);
    return fragment;
  }
  const converter = new AnsiUp();
  converter.use_classes = true;
  converter.escape_html = true;
  converter.url_allowlist = {}; // a script's output makes no links
  const template = document.createElement("template");
  template.innerHTML = converter.ansi_to_html(line);
  fragment.append(template.content);
  return fragment;
}
