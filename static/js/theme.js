/* Light or dark before the first paint: the person's choice, else the system's. A classic script in the head, so
   that no page flashes. The button with data-theme-toggle cycles system, light, dark. */
(() => {
  const KEY = "trainhouse-theme";
  const ORDER = ["system", "light", "dark"];
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      const stored = localStorage.getItem(KEY);
      return ORDER.includes(stored) ? stored : "system";
    } catch {
      return "system";
    }
  };

  const apply = (choice) => {
    const theme = choice === "system" ? (system.matches ? "dark" : "light") : choice;
    const changed = document.documentElement.dataset.bsTheme !== theme;
    document.documentElement.dataset.bsTheme = theme;
    if (changed) document.dispatchEvent(new CustomEvent("trainhouse:theme", { detail: { theme } }));
  };

  const label = (button, choice) => {
    button.setAttribute("aria-label", `Colour theme: ${choice}`);
    button.title = `Colour theme: ${choice}`;
    button.querySelectorAll("[data-theme-icon]").forEach((icon) => {
      icon.toggleAttribute("hidden", icon.dataset.themeIcon !== choice);
    });
  };

  apply(chosen());
  system.addEventListener("change", () => apply(chosen()));

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-theme-toggle]").forEach((button) => {
      button.hidden = false;
      label(button, chosen());
      button.addEventListener("click", () => {
        const next = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
        try {
          localStorage.setItem(KEY, next);
        } catch {
          return;
        }
        apply(next);
        label(button, next);
      });
    });
  });
})();
