/* The command line as the rows stand, as a shell would want it: quoted by the rule of Python's shlex.quote, a parameter
   a line. */

const SAFE = /^[a-zA-Z0-9_@%+=:,./-]+$/;

const quote = (word) => (SAFE.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

export const commandLine = (script, pairs) =>
  [["python", script], ...pairs.map(({ name, value }) => (value === "" ? [name] : [name, value]))]
    .map((words) => words.map(quote).join(" "))
    .join(" \\\n    ");
