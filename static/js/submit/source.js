/* The source section with scripts: a place to drop on, progress, and the files as they were received. */

import { chosenFiles, droppedFiles } from "./folder.js";
import { sendFolder, sendZip } from "./upload.js";

const size = (bytes) => {
  const units = ["bytes", "KB", "MB", "GB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit ? `${value.toFixed(1)} ${units[unit]}` : `${value} bytes`;
};

export const startSource = (form, { onReceived }) => {
  const part = (name) => form.querySelector(`[data-${name}]`);
  const addresses = { rules: form.dataset.rules, uploads: form.dataset.uploads, zip: form.dataset.zip };
  const drop = part("drop");
  const archive = form.querySelector("#id_archive");
  const submit = part("submit");

  const progress = (share, words) => {
    part("upload-progress").hidden = false;
    part("upload-progress").querySelector("progress").value = share;
    const line = part("upload-words");
    if (line.textContent !== words) line.textContent = words;
  };

  const refuse = (message) => {
    const line = document.createElement("p");
    line.className = "field-error";
    line.setAttribute("role", "alert");
    line.textContent = message;
    part("upload-error").replaceChildren(line);
  };

  const receive = async (name, sending) => {
    part("upload-error").replaceChildren();
    submit.disabled = true;
    try {
      const answer = await sending();
      form.querySelector("[name=upload]").value = answer.id;
      const radio = form.querySelector("[name=source][value=upload]");
      if (radio.type === "radio") radio.checked = true;
      show(form, name, answer);
      onReceived({ name, ...answer });
    } catch (error) {
      refuse(error.message);
    } finally {
      submit.disabled = false;
      part("upload-progress").hidden = true;
      archive.value = "";
      part("folder").value = "";
    }
  };

  const takeZip = (file) => receive(file.name, () => sendZip(addresses, file, progress));
  const takeFolder = (folder) => receive(folder.name || "folder", () => sendFolder(addresses, folder, progress));

  drop.classList.add("is-ready");
  part("drop-words").hidden = false;
  part("archive").classList.add("visually-hidden");
  archive.tabIndex = -1;

  form.querySelectorAll("[data-pick]").forEach((button) => {
    const input = button.dataset.pick === "zip" ? archive : part("folder");
    button.addEventListener("click", () => input.click());
  });
  archive.addEventListener("change", () => archive.files.length && takeZip(archive.files[0]));
  part("folder").addEventListener("change", (event) => event.target.files.length && takeFolder(chosenFiles(event.target)));

  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    const dropped = await droppedFiles(event.dataTransfer);
    if (dropped.zip) takeZip(dropped.zip);
    else if (dropped.files.length) takeFolder(dropped);
  });
};

const show = (form, name, answer) => {
  const details = form.ownerDocument.getElementById("received-blank").content.firstElementChild.cloneNode(true);
  details.querySelector("[data-name]").textContent = name;
  const left = answer.ignored_count ? `, ${answer.ignored_count} ignored` : "";
  const count = answer.files.length;
  details.querySelector("[data-size]").textContent =
    `${count} ${count === 1 ? "file" : "files"}, ${size(answer.size)}, received${left}`;
  const items = answer.files.slice(0, 300).map((file) => {
    const item = document.createElement("li");
    const path = document.createElement("span");
    path.textContent = file.path;
    const bytes = document.createElement("span");
    bytes.className = "muted num";
    bytes.textContent = size(file.size);
    item.append(path, bytes);
    return item;
  });
  details.querySelector("ul").append(...items);
  form.querySelector("#received").replaceChildren(details);

  offer(form.querySelector("#scripts"), answer.entry_candidates);
  const texts = answer.files.map((file) => file.path).filter((path) => path.endsWith(".txt"));
  offer(form.querySelector("#requirements"), texts.slice(0, 300));
  const entry = form.querySelector("#id_entry_script");
  if (answer.entry_candidates.length && !answer.files.some((file) => file.path === entry.value)) {
    entry.value = answer.entry_candidates[0];
    entry.dispatchEvent(new Event("input", { bubbles: true }));
  }
};

const offer = (list, paths) => {
  list.replaceChildren(
    ...paths.map((path) => {
      const option = list.ownerDocument.createElement("option");
      option.value = path;
      return option;
    }),
  );
};
