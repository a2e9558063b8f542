// Which line is at the top of a view over more lines than a scroll bar has pixels. Pure.
//
// Browsers cap an element's height (Firefox at about 17 million pixels, Chromium at 33), so from a certain number of
// lines on a pixel of the scroll bar stands for more than a pixel of text.

export const ROW = 20;
export const MOST_PIXELS = 6_000_000;

/** The height of the scrolled content for `rows` lines in a view of `view` pixels. */
export function contentHeight(rows, view) {
  return Math.max(Math.min(rows * ROW, MOST_PIXELS), view);
}

/** Whether a pixel of the scroll bar is a pixel of text. */
export function isDirect(rows) {
  return rows * ROW <= MOST_PIXELS;
}

/** The greatest top line, fractional: the last line then stands at the bottom of the view. */
export function lastTop(rows, view) {
  return Math.max(0, rows - view / ROW);
}

/** The top line, fractional, at `scrollTop`. */
export function topAt(scrollTop, rows, view) {
  if (isDirect(rows)) return Math.min(scrollTop / ROW, lastTop(rows, view));
  const reach = contentHeight(rows, view) - view;
  return (Math.min(scrollTop, reach) / reach) * lastTop(rows, view);
}

/** The scrollTop at which line `top` is the top line. */
export function scrollAt(top, rows, view) {
  if (isDirect(rows)) return top * ROW;
  const reach = contentHeight(rows, view) - view;
  return (top / lastTop(rows, view)) * reach;
}
