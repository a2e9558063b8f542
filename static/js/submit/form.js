/* The form of a new run: rows, upload, and a summary that follows what is typed. Without scripts the same form works
   by plain posts. */

import { commandLine } from "./command.js";
import { rowPairs, startRows } from "./rows.js";
import { startSource } from "./source.js";

const PACKAGES = ["pip_packages", "conda_packages"];
const FILES = ["pip_requirements_file", "conda_dependencies_file"];

const form = document.querySelector("[data-submit-form]");
const field = (name) => form.querySelector(`#id_${name}`);
const summary = (name) => form.querySelector(`[data-summary="${name}"]`);

const showCommand = () => {
  const script = field("entry_script").value || "…";
  form.querySelector("[data-command]").textContent = commandLine(script, rowPairs(field("script_params")));
};

const showChoice = (name) => {
  summary(name).textContent = field(name).selectedOptions[0]?.textContent ?? "–";
};

/* The GPU tick follows the chosen target, which the place line tells of. */
const showGpus = () => {
  const place = document.getElementById("place");
  if (place?.dataset.gpus === undefined) return;
  const none = place.dataset.gpus === "0";
  const tick = field("use_gpu");
  const reason = form.querySelector("[data-no-gpu]");
  tick.disabled = none && !tick.checked;
  reason.hidden = !none;
  reason.textContent = `Target ${place.dataset.target} has no GPU.`;
};

startRows(field("script_params"));
startRows(field("environment_variables"), { secrets: form.dataset.secrets });
startSource(form, {
  onReceived: ({ name }) => {
    summary("source").textContent = name;
    showCommand();
    form.dispatchEvent(new CustomEvent("source:received"));
  },
});

const showPackages = () => {
  const lines = PACKAGES.flatMap((name) => field(name).value.split("\n")).map((line) => line.trim());
  const count = lines.filter((line) => line && !line.startsWith("#")).length;
  summary("pip_packages").textContent = count || "none added";
};

/* A named environment stands in for the packages and variables of the run: they are out of the way while one is
   chosen, and come back as they were. */
const showDefinition = () => {
  const choice = field("environment_definition");
  if (!choice) return;
  form.querySelectorAll("[data-own-packages]").forEach((fields) => {
    fields.disabled = choice.value !== "";
  });
  summary("environment_definition").textContent = choice.value || "–";
  ["framework_version", "pip_packages", "package_files"].forEach((name) => {
    const line = summary(name);
    line.hidden = choice.value !== "";
    line.previousElementSibling.hidden = line.hidden;
  });
};

const showFile = () => {
  summary("package_files").textContent = FILES.map((name) => field(name).value).filter(Boolean).join(", ") || "–";
};

form.addEventListener("rows:change", showCommand);
FILES.forEach((name) => field(name).addEventListener("input", showFile));
PACKAGES.forEach((name) => field(name).addEventListener("input", showPackages));
field("entry_script").addEventListener("input", showCommand);
["framework_version", "compute_target"].forEach((name) => {
  field(name).addEventListener("change", () => showChoice(name));
});
document.addEventListener("htmx:afterSettle", () => {
  showGpus();
  [...PACKAGES, ...FILES, "conda_channels"].forEach((name) => {
    const wrong = form.querySelector(`#id_${name}_error .field-error`) !== null;
    field(name).toggleAttribute("aria-invalid", wrong);
    if (wrong) field(name).setAttribute("aria-invalid", "true");
  });
});
form.addEventListener("submit", () => {
  const submit = form.querySelector("[data-submit]");
  setTimeout(() => {
    submit.disabled = true;
  });
});
window.addEventListener("pageshow", () => {
  form.querySelector("[data-submit]").disabled = false;
});

field("environment_definition")?.addEventListener("change", showDefinition);

showCommand();
showGpus();
showDefinition();
document.querySelector("[data-focus]")?.focus();
