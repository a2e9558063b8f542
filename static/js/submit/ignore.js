/* Which files of a chosen folder stay behind, by git's rules (https://git-scm.com/docs/gitignore). The server decides
   again; here it only saves sending files in vain. */

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/* One glob as the source of a regular expression, without anchors. */
const globSource = (glob) => {
  let source = "";
  for (let i = 0; i < glob.length; i += 1) {
    const rest = glob.slice(i);
    if (rest.startsWith("**/") && (i === 0 || glob[i - 1] === "/")) {
      source += "(?:.*/)?";
      i += 2;
    } else if (rest === "**" && (i === 0 || glob[i - 1] === "/")) {
      source += ".*";
      i += 1;
    } else if (glob[i] === "*") {
      source += "[^/]*";
    } else if (glob[i] === "?") {
      source += "[^/]";
    } else if (glob[i] === "[" && /^\[[!^]?\]?[^\]]*\]/.test(rest)) {
      const set = rest.match(/^\[([!^]?)(\]?[^\]]*)\]/);
      source += `[${set[1] ? "^" : ""}${set[2].replace(/[\\\]]/g, "\\$&")}]`;
      i += set[0].length - 1;
    } else if (glob[i] === "\\" && i + 1 < glob.length) {
      i += 1;
      source += escape(glob[i]);
    } else {
      source += escape(glob[i]);
    }
  }
  return source;
};

const parse = (line) => {
  let text = line.replace(/\r$/, "").replace(/(?<!\\) +$/, "");
  if (!text || text.startsWith("#")) return null;
  const keeps = text.startsWith("!");
  if (keeps) text = text.slice(1);
  const folderOnly = text.endsWith("/");
  if (folderOnly) text = text.slice(0, -1);
  const anchored = text.includes("/");
  if (text.startsWith("/")) text = text.slice(1);
  if (!text) return null;
  return { keeps, folderOnly, pattern: new RegExp(`^${anchored ? "" : "(?:.*/)?"}${globSource(text)}$`) };
};

const decide = (rules, path, isFolder) => {
  let ignored = false;
  for (const rule of rules) {
    if ((isFolder || !rule.folderOnly) && rule.pattern.test(path)) ignored = !rule.keeps;
  }
  return ignored;
};

/* A function from a path to whether it stays behind. A folder that is ignored is ignored with all it holds. */
export const ignoreRules = (always, own) => {
  const sets = [always, own].map((lines) => lines.map(parse).filter(Boolean));
  const folders = new Map([["", false]]);
  const matches = (path, isFolder) => sets.some((rules) => decide(rules, path, isFolder));
  const above = (path) => path.slice(0, Math.max(path.lastIndexOf("/"), 0));
  const folder = (path) => {
    if (!folders.has(path)) folders.set(path, folder(above(path)) || matches(path, true));
    return folders.get(path);
  };
  return (path) => folder(above(path)) || matches(path, false);
};
