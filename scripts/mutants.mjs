/**
 * `npm run mutants [-- --share S] [--seed N] [--whole] [--break P] [--list] [PATH …]`: changes of the
 * verifier's code, each of which a test beside it must notice, and the share that one does, file by file.
 * Stryker changes operators, conditions and literals, `formula-mutants.mjs` calls of `src/graph`.
 *
 * A line is in the sample if a hash of the seed, its file, its text and its number among equal lines is
 * below the share: the sample stays the same when other lines change. `--whole` takes all lines, and changes
 * that span several; `--list` only says which. Paths (files or folders) take the place of all of
 * `src/verification` and `src/relaxation`.
 *
 * The files of each folder are run together, with the tests beside them and those of `ELSEWHERE`, by two
 * processes (`--concurrency N`); `--incremental` leaves out what was tried before and has not changed. The
 * exit code is 1 if the share is below `--break`, in percent.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Stryker } from '@stryker-mutator/core';
import settings from '../stryker.config.mjs';
import { formulaMutants } from './formula-mutants.mjs';

const ROOMS = ['src/verification', 'src/relaxation'];

/** Tests of files that have none beside them, or whose own does not try all of it: folder, files, tests. */
const ELSEWHERE = [
  ['verification/proof', 'context deadline hidden-size trace', 'verification/search/verify'],
  ['verification/property', 'robustness', 'verification/search/verify'],
  ['verification/branch-and-bound', 'dual-ascent relu-lines', 'verification/branch-and-bound/dual-program'],
  [
    'verification/branch-and-bound',
    'input-splitting relu-programs relu-splitting root search unstable',
    'verification/branch-and-bound/early-end',
  ],
  ['verification/branch-and-bound', 'relu-programs unstable', 'verification/branch-and-bound/relu-splitting'],
  [
    'verification/branch-and-bound',
    'dual-program part-arrays',
    'verification/branch-and-bound/relu-programs',
  ],
  [
    'verification/certification',
    'answers attack-stage bound-stage certificate-lines certification evaluation natural-stage options ' +
      'programs verdict',
    'verification/certification/cascade',
  ],
  ['verification/certificate', 'ascent dual', 'verification/certificate/traces'],
  [
    'verification/certificate',
    'format guide images input-tree proofs property relu-tree',
    'verification/certificate/traces',
  ],
  ['verification/certificate', 'input-tree relu-tree', 'verification/certificate/trees'],
  ['verification/search', 'attack-starts property-climb', 'verification/search/property-attack'],
  ['verification/search', 'complete-search property-stages root-bounds', 'verification/search/verify'],
  [
    'verification/search',
    'root-bounds',
    'verification/search/root-calls verification/search/sound-root-bounds',
  ],
  ['relaxation', 'front index interval mixture relaxation slopes', 'relaxation/soundness'],
  [
    'relaxation/linear',
    'back-substitution crown crown-ibp layer-bounds nonlinear region',
    'relaxation/soundness',
  ],
  ['relaxation/linear', 'alpha-crown back-substitution crown nonlinear', 'relaxation/smooth-networks'],
  ['relaxation/linear', 'row-rule row-state row-target single-row', 'relaxation/linear/row-bounds'],
  ['relaxation/linear', 'row-bounds row-rule row-state', 'relaxation/linear/row-chain'],
  ['relaxation/zonotope', 'hybrid-zonotope', 'relaxation/zonotope/zonotope'],
  ['relaxation/solver', 'highs layer-matrix linear-program', 'relaxation/solver/linear-solver'],
  // The solver runs in workers, compiled: `exact` does not reach its source.
  ['relaxation/solver', 'relu-program sign-branching', 'relaxation/solver/relu-solver'],
  ['relaxation/solver', 'relu-stages', 'relaxation/solver/exact'],
].map(([folder, files, tests]) => ({
  files: files.split(' ').map((name) => `src/${folder}/${name}.ts`),
  tests: tests.split(' ').map((test) => `src/${test}.test.ts`),
}));

const NOTICED = ['Killed', 'Timeout'];
const COUNTED = [...NOTICED, 'Survived', 'NoCoverage'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    share: { type: 'string', default: '0.01' },
    seed: { type: 'string', default: '1' },
    whole: { type: 'boolean', default: false },
    break: { type: 'string', default: '0' },
    concurrency: { type: 'string', default: '2' },
    incremental: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

const isCode = (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.browser.ts');

/** The files of a path, itself if it is one, in order. */
function filesOf(path) {
  if (!existsSync(path)) {
    console.error(`mutants: expected files or folders of this repository, got ${path}; check the path`);
    process.exit(2);
  }
  if (statSync(path).isFile()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names
    .map((name) => join(path, name).replaceAll('\\', '/'))
    .filter(isCode)
    .sort();
}

/** A number in [0, 1) that depends on the words only. */
const hashOf = (...words) => createHash('sha256').update(words.join('\0')).digest().readUInt32BE(0) / 2 ** 32;

/** Comments, imports, closing brackets and members of interfaces, in which there is nothing to change. */
const PLAIN = /^$|^(\/?\*|\/\/|import |\} from |export (type|interface) |interface )|^[\])};,>]*$/;
const MEMBER = /^(readonly )?#?\w+\??(\([^=]*\))?: [^=]*[;,]$|^type \w+,$/;

/** `FILE:N-N` for each line in the sample. */
function sampleOf(file) {
  const seen = new Map();
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, i) => {
      const text = line.trim();
      const twin = seen.get(text) ?? 0;
      seen.set(text, twin + 1);
      if (PLAIN.test(text) || MEMBER.test(text)) return [];
      return hashOf(values.seed, file, text, twin) < Number(values.share)
        ? [`${file}:${i + 1}-${i + 1}`]
        : [];
    });
}

/** The tests of a file: the one beside it and those elsewhere; all of its folder where there is neither. */
function testsOf(file) {
  const beside = file.replace(/\.ts$/, '.test.ts');
  const elsewhere = ELSEWHERE.flatMap(({ files, tests }) => (files.includes(file) ? tests : []));
  const tests = [...(existsSync(beside) ? [beside] : []), ...elsewhere];
  return tests.length > 0 ? tests : [`${dirname(file)}/*.test.ts`];
}

/** What Stryker found in the files of one folder. */
async function mutantsOf(folder, files, mutate) {
  process.env.MUTANTS_TESTS = JSON.stringify([...new Set(files.flatMap(testsOf))]);
  return await new Stryker({
    ...settings,
    mutate,
    concurrency: Number(values.concurrency),
    incremental: values.incremental,
    incrementalFile: `reports/mutants/${folder.replaceAll('/', '-')}.json`,
  }).runMutationTest();
}

/** Map.groupBy, which Node 20 lacks. */
function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

const percent = (part, all) => (all === 0 ? '–' : `${((100 * part) / all).toFixed(1)} %`);
const among = (results, statuses) => results.filter(({ status }) => statuses.includes(status)).length;

function row(name, results) {
  const [noticed, counted] = [among(results, NOTICED), among(results, COUNTED)];
  const share = `${String(noticed).padStart(5)} of ${String(counted).padEnd(5)}`;
  return `${percent(noticed, counted).padStart(8)} ${share} ${name}`;
}

/** The changes that no test noticed, and the table of files. */
function report(results, seconds) {
  for (const { fileName, location, mutatorName, replacement, status } of results)
    if (status === 'Survived' || status === 'NoCoverage')
      console.log(
        `${fileName}:${location.start.line}:${location.start.column} ${status} ${mutatorName}: ` +
          replacement.replaceAll(/\s+/g, ' ').slice(0, 100),
      );
  for (const [file, own] of grouped(results, ({ fileName }) => fileName)) console.log(row(file, own));
  console.log(`${row('in all', results)}, ${Math.round(seconds)} s`);
}

const began = Date.now();
const files = [...new Set((positionals.length > 0 ? positionals : ROOMS).flatMap(filesOf))];
const results = [];
for (const [folder, own] of grouped(files, dirname)) {
  const lines = new Map(own.map((file) => [file, values.whole ? [file] : sampleOf(file)]));
  const chosen = own.filter((file) => lines.get(file).length > 0);
  if (chosen.length === 0) continue;
  const mutate = chosen.flatMap((file) => lines.get(file));
  console.log(`${folder}: ${mutate.map((one) => basename(one)).join(' ')}`);
  if (values.list) continue;
  const isChosen = (file, line) => values.whole || lines.get(file).includes(`${file}:${line}-${line}`);
  const tried = await mutantsOf(folder, chosen, mutate);
  const found = [...tried, ...(await formulaMutants(chosen, testsOf, isChosen))];
  results.push(
    ...found.map((one) => ({ ...one, fileName: relative('.', one.fileName).replaceAll('\\', '/') })),
  );
  console.log(row(folder, found));
}
report(results, (Date.now() - began) / 1000);
const score = (100 * among(results, NOTICED)) / Math.max(1, among(results, COUNTED));
if (score < Number(values.break)) {
  console.error(
    `expected tests to notice at least ${values.break} % of the changes, got ${score.toFixed(1)} %`,
  );
  process.exitCode = 1;
}
