/* Sends a folder in batches or a zip file at once. Both resolve to what the server made of it; failures are Errors
   whose message is a sentence for the person. */

import { ignoreRules } from "./ignore.js";

const TRIES = 3;

class Refused extends Error {}

const csrf = () => document.querySelector("[name=csrfmiddlewaretoken]").value;

/* One request with progress: fetch tells nothing about what has been sent. */
const post = (address, body, onSent = () => {}) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("X-CSRFToken", csrf());
    request.responseType = "json";
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => {
      if (request.status < 300 && request.response) resolve(request.response);
      else if (request.response?.error) reject(new Refused(request.response.error));
      else reject(new Error(`The server answered ${request.status}.`));
    };
    request.onerror = () => reject(new Error("The connection broke off. Check it, and try again."));
    request.send(body);
  });

/* Sending the same batch twice is harmless, so a broken connection is tried again. */
const postAgain = async (address, body, onSent) => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await post(address, body, onSent);
    } catch (error) {
      if (error instanceof Refused || tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries));
    }
  }
};

export const sendZip = (addresses, file, onProgress) => {
  const body = new FormData();
  body.append("file", file, file.name);
  onProgress(0, `Sending ${file.name}`);
  return post(addresses.zip, body, (sent) => onProgress(Math.min(sent / file.size, 1), `Sending ${file.name}`));
};

export const sendFolder = async (addresses, { name, files }, onProgress) => {
  onProgress(0, "Looking through the folder");
  const rules = await (await fetch(addresses.rules, { headers: { Accept: "application/json" } })).json();
  const kept = await withoutIgnored(rules, files);
  const total = kept.reduce((sum, { file }) => sum + file.size, 0);
  check(rules.limits, kept, total, files.length);
  const upload = await post(addresses.uploads, JSON.stringify({ name }));
  let sent = 0;
  for (const batch of batches(kept, rules.batch)) {
    const body = new FormData();
    body.append("paths", JSON.stringify(batch.map(({ path }) => path)));
    batch.forEach(({ file }) => body.append("files", file, file.name));
    const size = batch.reduce((sum, { file }) => sum + file.size, 0);
    const words = `Sending ${kept.length} of ${files.length} files`;
    await postAgain(`${addresses.uploads}/${upload.id}/files`, body, (now) =>
      onProgress(total ? (sent + Math.min(now, size)) / total : 1, words),
    );
    sent += size;
  }
  onProgress(1, "Checking");
  return post(`${addresses.uploads}/${upload.id}/finish`, "");
};

const withoutIgnored = async (rules, files) => {
  const byPath = new Map(files.map((item) => [item.path, item.file]));
  const own = rules.ignore_files.find((path) => byPath.has(path));
  const lines = own ? (await byPath.get(own).text()).split("\n") : [];
  const ignores = ignoreRules(rules.always_ignored, lines);
  return files.filter(({ path }) => !ignores(path));
};

const check = (limits, kept, total, found) => {
  if (!kept.length) {
    throw new Refused(found ? `All ${found} files are ignored by rule. Look at the ignore file.` : "The folder is empty.");
  }
  if (kept.length <= limits.files && total <= limits.bytes) return;
  const largest = [...kept].sort((a, b) => b.file.size - a.file.size).slice(0, 3).map(({ path }) => path);
  throw new Refused(
    `The folder has ${kept.length.toLocaleString("en")} files with ${Math.ceil(total / 1e6)} MB; ` +
      `${limits.files.toLocaleString("en")} files and ${Math.floor(limits.bytes / 1e6)} MB are allowed. ` +
      `The largest: ${largest.join(", ")}. Name what the run does not need in a .trainhouseignore file.`,
  );
};

const batches = function* (files, most) {
  let batch = [];
  let size = 0;
  for (const item of files) {
    if (batch.length && (batch.length >= most.files || size + item.file.size > most.bytes)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(item);
    size += item.file.size;
  }
  if (batch.length) yield batch;
};
