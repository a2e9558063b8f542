// The bar above the charts: filter, smoothing, axes. What is chosen lives in the address.

/** Calls `onChange()` when something is chosen; `choice` always holds the present one. */
export class ChartBar {
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) => {
      this.#changed();
      const { task } = form.elements;
      const isOther = this.isPartial || !["", "mean"].includes(task?.value ?? "");
      if (target === task && isOther) location.reload(); // the server sends the curves that the address asks for
    });
    this.#words();
  }

  get choice() {
    const fields = this.form.elements;
    return {
      filter: fields.namedItem("filter").value.trim().toLowerCase(),
      smooth: Number(fields.namedItem("smooth")?.value ?? 0),
      axis: fields.namedItem("x").value,
      isLog: fields.namedItem("log").checked,
      isMean: fields.namedItem("task")?.value === "mean",
    };
  }

  /** Whether the page has the curves of one task alone. */
  get isPartial() {
    return "partial" in this.form.dataset;
  }

  #changed() {
    this.#words();
    const query = new URLSearchParams(new FormData(this.form));
    for (const [name, value] of [...query]) {
      if (!value || (name === "smooth" && Number(value) === 0) || (name === "x" && value === this.form.dataset.axis)) query.delete(name);
    }
    const text = query.toString();
    history.replaceState(null, "", text ? `?${text}` : location.pathname);
    this.onChange();
  }

  #words() {
    const words = this.form.querySelector("[data-smooth-words]");
    if (words) words.textContent = this.choice.smooth.toFixed(2);
  }
}
