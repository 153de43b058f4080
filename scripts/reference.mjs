/**
 * `npm run reference [-- FOLDER …]`: holds this software against others'. Margins, losses and gradients
 * against the reference values beside the repository (`../shared/reference`), and verdicts against certified
 * sets: folders with a `certified-set.json` (docs/reference/certified-sets.md), those given, or the
 * repository's own and those beside the values. Exit code 1 where anything differs.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSet } from './reference/sets.mjs';
import { checkValues } from './reference/values.mjs';

const FOLDER = fileURLToPath(new URL('../../shared/reference/', import.meta.url));
const SET = 'certified-set.json';

const OWN = fileURLToPath(new URL('reference/', import.meta.url));

/** Folders with a certified set: those given, or the repository's own and those beside the values. */
function setsIn(given) {
  if (given.length > 0) return given.map((folder) => join(folder, SET));
  return [OWN, FOLDER].filter(existsSync).flatMap((folder) =>
    readdirSync(folder)
      .map((name) => join(folder, name, SET))
      .filter(existsSync),
  );
}

const table = (rows) => {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  return rows
    .map((row) =>
      row
        .map((cell, c) => cell.padEnd(widths[c]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

const given = process.argv.slice(2);
let failures = 0;
try {
  if (given.length === 0) {
    if (existsSync(FOLDER)) {
      const rows = await checkValues(FOLDER);
      console.log(`Relative differences from the reference values, in float64\n`);
      console.log(
        table([['network', 'relaxation', 'what', 'difference', 'allowed', ''], ...rows.map(cellsOf)]),
      );
      failures += rows.filter(({ difference, allowed }) => !(difference <= allowed)).length;
    } else console.log(`no reference values at ${FOLDER}`);
  }
  const sets = setsIn(given);
  if (sets.length === 0)
    console.log('\nno certified sets; docs/reference/certified-sets.md says how to add one');
  for (const path of sets) {
    const { line, holds } = await checkSet(path, given.length === 0);
    console.log(`\n${line}`);
    if (!holds) failures++;
  }
} catch (error) {
  console.error(`reference: ${error.message}`);
  process.exit(2);
}
if (failures > 0) console.error(`\nreference: ${failures} of the above differ`);
process.exit(failures > 0 ? 1 : 0);

function cellsOf({ network, relaxation, what, difference, allowed }) {
  const mark = difference <= allowed ? 'ok' : 'DIFFERS';
  return [network, relaxation, what, difference.toExponential(1), allowed.toExponential(0), mark];
}
