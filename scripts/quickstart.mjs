/**
 * `npm run quickstart`: installs and builds what is missing, then shows the idea on real MNIST and a result.
 *
 * 1. The paradox and its cure: one small network at ε = 0.2, trained with IBP, with the tighter CROWN by
 *    plain gradients, and with CROWN smoothed (RGS); settings as `tautnet reproduce paradox rgs` tuned them,
 *    and the first of its ten seeds (docs/results/claims.md). All three are certified completely on 2,000
 *    test images and compared, with their loss under CROWN.
 * 2. CNN3 at ε = 0.1 with RGS, all 10,000 test images certified.
 *
 * Node alone is needed. `-- --json` ends with the second certificate's summary on the last line.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const json = process.argv.includes('--json');
const unknown = process.argv.slice(2).filter((argument) => argument !== '--json');
if (unknown.length > 0) {
  console.error(`quickstart: expected no argument but --json, got ${unknown.join(' ')}`);
  process.exit(2);
}

/**
 * Runs a step to its end and leaves with its exit code where it fails. Its messages go to stderr; what a
 * `tautnet` command prints is given back.
 */
function step(what, command, args) {
  console.error(`> ${what}`);
  const start = performance.now();
  const isTautnet = what.startsWith('tautnet');
  const child = spawn(command, args, {
    cwd: ROOT,
    // Large pages spare memory-bound steps many page faults; systems without them ignore the setting.
    env: { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1', ...process.env },
    stdio: ['ignore', isTautnet ? 'pipe' : 2, 2],
    shell: process.platform === 'win32' && command === 'npm',
  });
  const printed = [];
  child.stdout?.on('data', (part) => printed.push(part));
  return new Promise((resolve) => {
    child.on('error', (error) => console.error(`quickstart: ${what} could not be started: ${error.message}`));
    child.on('close', (code, signal) => {
      if (code !== 0) process.exit(code ?? (signal ? 130 : 1));
      const seconds = ((performance.now() - start) / 1000).toFixed(0);
      resolve({ seconds, result: Buffer.concat(printed).toString() });
    });
  });
}

const tautnet = (words) =>
  step(
    `tautnet ${words.map((word) => (word.includes(' ') ? `"${word}"` : word)).join(' ')}`,
    process.execPath,
    [join('dist', 'cli', 'main.js'), ...words],
  );

/** Installs and builds what is missing. */
async function build() {
  if (!existsSync(join(ROOT, 'node_modules', 'onnxruntime-node')))
    await step('npm ci', 'npm', ['ci', '--no-audit', '--no-fund']);
  const node = (what, ...args) => step(what, process.execPath, args);
  await node('build', join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json');
  await node('build figures', join('scripts', 'bundle-figures.mjs'));
  await node('row kernel', join('scripts', 'build-native.mjs'));
}

/** Folders that are not there yet: runs/paradox and runs/quickstart, or both with -2, -3, … */
function freshFolders() {
  for (let k = 1; ; k++) {
    const folders = ['paradox', 'quickstart'].map((name) => join('runs', k === 1 ? name : `${name}-${k}`));
    if (!folders.some((path) => existsSync(join(ROOT, path)))) return folders;
  }
}

/** The same network, images, steps and seed for all. */
const SMALL = [
  ...['--pool', '2 max', '--architecture', 'conv 4@5 s2 p2, conv 8@4 s2 p1, linear', '--no-normalize'],
  ...'--epsilon 0.2 --train-limit 11000 --validation 1000 --select last --batch-size 128'.split(' '),
  ...'--epochs 40 --warmup-epochs 20'.split(' '),
];
/** The longest training first. With 16 images a program call, as in the ten seeds: bits depend on it. */
const METHODS = {
  'crown-smoothed':
    '--relaxation crown --micro-batch 16 --smoothing rgs --sigma 0.197 --learning-rate 0.01582',
  crown: '--relaxation crown --micro-batch 16 --learning-rate 0.015',
  ibp: '--relaxation ibp --learning-rate 0.007635',
};

/** Trains and certifies the three, as many at a time as there are cores. */
async function paradox(folder) {
  const waiting = Object.entries(METHODS);
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, method] = next;
      const run = join(folder, name);
      const one = ['--threads', '1', '--quiet'];
      await tautnet(['train', ...SMALL, ...method.split(' '), ...one, '--out', run]);
      await tautnet(['certify', run, '--limit', '2000', '--complete', '--timeout', '1', ...one]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), waiting.length) }, lane));
  const figure = join(folder, 'methods.svg');
  const { result } = await tautnet(['compare', folder, '--losses', 'ibp,crown', '--out', figure, '--json']);
  console.error(`\n${await methodsTable(JSON.parse(result).runs)}\n`);
}

/** What `tautnet compare` prints, without the settings. */
async function methodsTable(runs) {
  const { aligned } = await import('../dist/cli/aligned.js');
  const { percent } = await import('../dist/experiment/percent.js');
  const rows = runs.map(({ run, natural, certified, losses, trainingSeconds }) => [
    ...[basename(run), percent(natural), percent(certified)],
    ...[losses.ibp.toFixed(2), losses.crown.toFixed(2), `${trainingSeconds.toFixed(0)} s`],
  ]);
  const head = ['trained with', 'natural', 'certified', 'loss IBP', 'loss CROWN', 'training'];
  return aligned([head, ...rows]).join('\n');
}

/** @returns what certify prints */
async function cnn3(run) {
  const recipe = '--architecture cnn3 --epsilon 0.1 --relaxation ibp --smoothing rgs --samples 1 --epochs 15'
    .concat(' --learning-rate 0.002')
    .split(' ');
  const training = await tautnet(['train', ...recipe, '--out', run]);
  const certifying = await tautnet(['certify', run, ...(json ? ['--json'] : [])]);
  console.error(`\ntrained in ${training.seconds} s, certified in ${certifying.seconds} s\n`);
  return certifying.result;
}

await build();
const [small, large] = freshFolders();
console.error('\nThe paradox and its cure: a small network at ε = 0.2, three ways to train it');
console.error('(the first seed; docs/results/claims.md has ten)\n');
await paradox(small);
console.error('CNN3 at ε = 0.1\n');
process.stdout.write(await cnn3(large));
