/**
 * `npm run quickstart`: installs and builds what is missing, trains CNN3 on MNIST at ε = 0.1 with Gaussian
 * loss smoothing (RGS) and certifies all 10,000 test images. Node alone is needed. `-- --json` ends with the
 * certificate's summary on the last line.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const json = process.argv.includes('--json');
const unknown = process.argv.slice(2).filter((argument) => argument !== '--json');
if (unknown.length > 0) {
  console.error(`quickstart: expected no argument but --json, got ${unknown.join(' ')}`);
  process.exit(2);
}

/**
 * Runs a step to its end and leaves with its exit code where it fails. Its messages go to stderr; its result
 * is given back, to be printed last.
 */
function step(what, command, args) {
  console.error(`\n> ${what}`);
  const start = performance.now();
  // Large pages spare memory-bound steps many page faults; systems without them ignore the setting.
  const env = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1', ...process.env };
  const { status, signal, error, stdout } = spawnSync(command, args, {
    cwd: ROOT,
    env,
    stdio: ['ignore', what.startsWith('tautnet') ? 'pipe' : 2, 2],
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (error) console.error(`quickstart: ${what} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? (signal ? 130 : 1));
  return { seconds: ((performance.now() - start) / 1000).toFixed(0), result: stdout?.toString() ?? '' };
}

/** runs/quickstart, or the first of quickstart-2, -3, … that is not there yet. */
function freshRun() {
  for (let k = 1; ; k++) {
    const path = join('runs', k === 1 ? 'quickstart' : `quickstart-${k}`);
    if (!existsSync(join(ROOT, path))) return path;
  }
}

const tautnet = (...args) => [join('dist', 'cli', 'main.js'), ...args];

if (!existsSync(join(ROOT, 'node_modules', 'onnxruntime-node')))
  step('npm ci', 'npm', ['ci', '--no-audit', '--no-fund']);
step('build', process.execPath, [
  join('node_modules', 'typescript', 'bin', 'tsc'),
  '-p',
  'tsconfig.build.json',
]);
step('build figures', process.execPath, [join('scripts', 'bundle-figures.mjs')]);
step('row kernel', process.execPath, [join('scripts', 'build-native.mjs')]);
const run = freshRun();
const recipe = '--architecture cnn3 --epsilon 0.1 --relaxation ibp --smoothing rgs --samples 1 --epochs 15'
  .concat(' --learning-rate 0.002')
  .split(' ');
const training = step(
  `tautnet train ${recipe.join(' ')} --out ${run}`,
  process.execPath,
  tautnet('train', ...recipe, '--out', run),
);
const certifying = step(
  `tautnet certify ${run}`,
  process.execPath,
  tautnet('certify', run, ...(json ? ['--json'] : [])),
);
console.error(`\ntrained in ${training.seconds} s, certified in ${certifying.seconds} s\n`);
process.stdout.write(certifying.result);
