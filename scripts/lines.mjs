/**
 * `node scripts/lines.mjs FOLDER …`: three rules for the lines of TypeScript and JavaScript files. A line has
 * at most 110 characters; in tests one long string or pattern may make it longer. Only `cli/` and tests touch
 * the streams of the process. Types are imported by a declaration, which the check of imports can see, not by
 * `import('…').Type`. Breaches are printed one a line, and the exit code is 1.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const WIDTH = 110;
const LITERAL = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\/(?:[^/\\ ]|\\.)(?:[^/\\]|\\.)*\//g;
const STREAMS = /\bconsole\.\w|\bprocess\.(stdin|stdout|stderr|exit)\b/;
const TYPE_IMPORT = /(?<!await )\bimport\(['"][^'"]*['"]\)\s*\.\s*[A-Z]/;
const isComment = (line) => /^\s*(\/?\*|\/\/)/.test(line);
const isTest = (file) => /\.test\.ts$|(^|\/)testing\//.test(file);
/** The probe is a program of its own: its stdout is a pipe to the process that asks. */
const mayUseStreams = (file) =>
  isTest(file) || !file.startsWith('src/') || /^src\/cli\/|^src\/runtime\/survey\/probe\.ts$/.test(file);

/** The characters of a line, without its longest literal in a test. */
function width(line, file) {
  const length = [...line].length;
  if (!isTest(file) || length <= WIDTH) return length;
  return length - Math.max(0, ...(line.match(LITERAL) ?? []).map((literal) => [...literal].length));
}

function breaches(file) {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, i) => {
      const place = `${file}:${i + 1}`;
      const characters = width(line, file);
      return [
        ...(characters > WIDTH
          ? [`${place}: expected at most ${WIDTH} characters, got ${characters}; break the line`]
          : []),
        ...(STREAMS.test(line) && !isComment(line) && !mayUseStreams(file)
          ? [`${place}: expected no stream of the process outside src/cli/; report to a callback`]
          : []),
        ...(TYPE_IMPORT.test(line) && file.startsWith('src/') && !isTest(file)
          ? [`${place}: expected a type imported at the top of the file, got import('…').Type`]
          : []),
      ];
    });
}

const folders = process.argv.slice(2);
const files = folders.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name).replaceAll('\\', '/'))
    .filter((name) => /\.(ts|mjs|js)$/.test(name) && !name.includes('node_modules')),
);
if (files.length === 0) {
  console.error(`expected folders with .ts or .mjs files, got ${folders.join(' ') || 'none'}`);
  process.exit(1);
}
const found = files.flatMap(breaches);
for (const breach of found) console.log(breach);
console.log(`${files.length} files, ${found.length} lines to change`);
process.exitCode = found.length > 0 ? 1 : 0;
