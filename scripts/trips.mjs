/**
 * `npm run trips`: how many files a piece of data passes on its way, which a change to the layout should not
 * lengthen. Compiles first; takes half a minute.
 *
 * - A step: files with a function that runs during one PGPE step on the CPU, in all threads. The same
 *   training is run with one step more, and V8 counts the calls of each function (NODE_V8_COVERAGE): a file
 *   is on the way if a count in it grows.
 * - Settings to objective: the same of resolving settings once more and building the objective of them.
 * - The attack: places outside `property-attack.ts` that call what it exports on the way of a property.
 *
 * `--list` prints the files too.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = pathToFileURL(join(ROOT, 'dist')).href;
/** Twice the least, so that what is done once, at the first time, is no part of what is counted. */
const TIMES = 2;

const GIVEN = {
  dataset: 'mnist',
  architecture: 'fc-small',
  relaxation: 'ibp',
  smoothing: 'pgpe',
  trainLimit: 640,
  validation: 0,
  batchSize: 32,
};

const ways = {
  async step(times) {
    const { createPool } = await import(`${DIST}/runtime/pool/pool.js`);
    const { prepare } = await import(`${DIST}/experiment/prepare-training.js`);
    const { resolveSettings } = await import(`${DIST}/experiment/settings/resolve-settings.js`);
    const { training } = await import(`${DIST}/training/loop.js`);
    const pool = createPool(1);
    const { options, first } = await prepare(resolveSettings(GIVEN), pool);
    let done = 0;
    for await (const _ of training(options, first)) if (++done === times) break;
    await pool.close();
  },
  async objective(times) {
    const { trainingObjective, networkOf } = await import(`${DIST}/experiment/prepare-training.js`);
    const { resolveSettings } = await import(`${DIST}/experiment/settings/resolve-settings.js`);
    const { datasetNamed } = await import(`${DIST}/data/datasets.js`);
    const network = networkOf(resolveSettings(GIVEN), datasetNamed(GIVEN.dataset));
    for (let i = 0; i < times; i++) trainingObjective(resolveSettings(GIVEN), network);
  },
};

/** Calls of each compiled function, in all threads of a process that goes a way so many times. */
function calls(way, times) {
  const folder = mkdtempSync(join(tmpdir(), 'trips-'));
  try {
    const self = fileURLToPath(import.meta.url);
    const { status, stderr } = spawnSync(process.execPath, [self, way, `${times}`], {
      env: { ...process.env, NODE_V8_COVERAGE: folder, ORT_DISABLE_TELEMETRY: '1' },
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`expected ${way} to run ${times} times, got: ${stderr}`);
    const counts = new Map();
    for (const file of readdirSync(folder))
      for (const { url, functions } of JSON.parse(readFileSync(join(folder, file), 'utf8')).result)
        if (url.startsWith(DIST))
          for (const { ranges } of functions) {
            const [{ startOffset, endOffset, count }] = ranges;
            const name = `${url.slice(DIST.length + 1)}:${startOffset}-${endOffset}`;
            counts.set(name, (counts.get(name) ?? 0) + count);
          }
    return counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Files in which a function is called more often where the way is gone once more. */
function filesOn(way) {
  const [before, after] = [calls(way, TIMES), calls(way, TIMES + 1)];
  const grown = [...after].filter(([name, count]) => count > (before.get(name) ?? 0));
  return [...new Set(grown.map(([name]) => name.slice(0, name.lastIndexOf(':'))))].sort();
}

/** Places on a property's way that call the attack, as `file:line`. */
function attackPlaces() {
  const folder = join(ROOT, 'src/verification/search');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.ts') && !/\.test\.ts$|^property-attack\.ts$/.test(name))
    .flatMap((name) =>
      readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .flatMap((line, i) =>
          /\bnew PropertyAttack\(|\battack\.next\(|\.beside\(|\battackPolytopes\(/.test(line)
            ? [`src/verification/search/${name}:${i + 1}`]
            : [],
        ),
    );
}

const [first, second] = process.argv.slice(2);
if (first in ways) await ways[first](Number(second));
else
  for (const [what, places] of [
    ['files that a PGPE step passes on the CPU', filesOn('step')],
    ['files from settings to the objective', filesOn('objective')],
    ["places on a property's way that enter property-attack", attackPlaces()],
  ]) {
    console.log(`${places.length} ${what}`);
    if (first === '--list') for (const place of places) console.log(`  ${place}`);
  }
