/* The form of a named environment: its rows of variables. */

import { startRows } from "./rows.js";

const form = document.querySelector("[data-definition-form]");
startRows(form.querySelector("#id_environment_variables"), { secrets: form.dataset.secrets });
document.querySelector("[data-focus]")?.focus();
