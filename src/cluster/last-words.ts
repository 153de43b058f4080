/** What a process that died said of it, among all that it wrote to stderr. */

/** A line that names an error, as Node writes it above the stack. */
const NAMED = /^(FATAL ERROR|[\w.]*(Error|Exception)( \[\w+\])?): /;

/**
 * The last line that names an error, else the last line; undefined where nothing was written. The last line
 * alone would be Node's version, which it writes below an error that nobody caught.
 * @example lastWords('Error: no such file\n    at main.js:1\n\nNode.js v20.0.0\n') // 'Error: no such file'
 */
export function lastWords(errors: string): string | undefined {
  const lines = errors
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.findLast((line) => NAMED.test(line)) ?? lines.at(-1);
}
