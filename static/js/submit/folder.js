/* Files of a folder, chosen or dropped, as {path, file} with paths relative to the folder. */

export const chosenFiles = (input) => {
  const files = [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  return relative(files);
};

/* What was dropped: {zip} for one zip file, {name, files} for a folder or some files. Entries must be asked for before
   the event is over. */
export const droppedFiles = async (transfer) => {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const single = transfer.files.length === 1 && entries.length === 1 && entries[0].isFile ? transfer.files[0] : null;
  if (single && /\.zip$/i.test(single.name)) return { zip: single };
  const files = [];
  for (const entry of entries) await walk(entry, "", files);
  return entries.length === 1 && entries[0].isDirectory ? relative(files) : { name: "dropped files", files };
};

const relative = (files) => {
  const name = files[0]?.path.split("/")[0] ?? "";
  const wrapped = files.every(({ path }) => path.startsWith(`${name}/`));
  return {
    name,
    files: wrapped ? files.map(({ path, file }) => ({ path: path.slice(name.length + 1), file })) : files,
  };
};

const walk = async (entry, folder, files) => {
  const path = folder ? `${folder}/${entry.name}` : entry.name;
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    files.push({ path, file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return;
    for (const child of some) await walk(child, path, files);
  }
};
