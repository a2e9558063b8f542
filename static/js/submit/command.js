/* The command line as the rows stand, quoted as a shell would want it (the same rule as Python's shlex.quote). */

const SAFE = /^[\w@%+=:,./-]+$/;

export const quote = (word) => (SAFE.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

export const argv = (pairs) => pairs.flatMap(({ name, value }) => (value === "" ? [name] : [name, value]));

export const commandLine = (script, pairs) => ["python", script, ...argv(pairs)].map(quote).join(" ");
