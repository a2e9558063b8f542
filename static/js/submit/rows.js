/* Rows of names and values: add, remove, move with buttons or Alt and an arrow key. The order of the page is what is
   sent. Every change fires "rows:change" on the rows' element. */

const secretName = (pattern) => new RegExp(pattern, "i");

export const rowPairs = (rows) =>
  [...rows.querySelectorAll("[data-row]")]
    .map((row) => ({ name: row.querySelector("input").value, value: row.querySelector("textarea").value }))
    .filter((pair) => pair.name || pair.value);

export const startRows = (rows, { secrets = "" } = {}) => {
  const list = rows.querySelector("ol");
  const blank = rows.querySelector("[data-row-blank]").content;
  const isSecret = secrets ? secretName(secrets) : { test: () => false };

  const changed = () => {
    [...list.children].forEach((row, index) => {
      const word = `${rows.dataset.word} ${index + 1}`;
      row.querySelector("input").setAttribute("aria-label", `${word}: name`);
      row.querySelector("textarea").setAttribute("aria-label", `${word}: value`);
      row.querySelector("[data-row-up]").setAttribute("aria-label", `Move ${word.toLowerCase()} up`);
      row.querySelector("[data-row-down]").setAttribute("aria-label", `Move ${word.toLowerCase()} down`);
      row.querySelector("[data-row-remove]").setAttribute("aria-label", `Remove ${word.toLowerCase()}`);
      row.querySelector("[data-row-up]").disabled = index === 0;
      row.querySelector("[data-row-down]").disabled = index === list.children.length - 1;
      row.querySelector("[data-row-tools]").hidden = false;
      row.querySelector("textarea").classList.toggle("masked", isSecret.test(row.querySelector("input").value));
    });
    rows.dispatchEvent(new CustomEvent("rows:change", { bubbles: true }));
  };

  const add = (after = null) => {
    const row = blank.firstElementChild.cloneNode(true);
    if (after) after.after(row);
    else list.append(row);
    changed();
    row.querySelector("input").focus();
  };

  const remove = (row) => {
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    if (neighbour) neighbour.querySelector("input").focus();
    else add();
    changed();
  };

  const move = (row, up) => {
    const focused = document.activeElement;
    const other = up ? row.previousElementSibling : row.nextElementSibling;
    if (!other) return;
    if (up) other.before(row);
    else other.after(row);
    changed();
    (focused.disabled ? row.querySelector("input") : focused).focus();
  };

  rows.querySelector("[data-row-add]").addEventListener("click", (event) => {
    event.preventDefault();
    add();
  });

  list.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    if (event.target.closest("[data-row-remove]")) remove(row);
    else if (event.target.closest("[data-row-up]")) move(row, true);
    else if (event.target.closest("[data-row-down]")) move(row, false);
  });

  list.addEventListener("keydown", (event) => {
    const row = event.target.closest("[data-row]");
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      move(row, event.key === "ArrowUp");
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.tagName === "TEXTAREA") {
      event.preventDefault();
      add(row);
    }
  });

  list.addEventListener("input", changed);
  changed();
};
