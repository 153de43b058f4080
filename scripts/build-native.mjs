/**
 * Builds the native kernels (`native/`) into dist/native/rows.node where a C++ compiler is at hand; else says
 * in one line what is slower without them, and ONNX Runtime does the same work. Headers of Node's interface
 * come with the package node-api-headers, so that nothing is downloaded.
 *
 * `-- --sanitize FILE` builds it there with the address and undefined-behaviour sanitizers, for tests.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'native');
const { values } = parseArgs({ options: { sanitize: { type: 'string' } } });
const addon = values.sanitize ?? join(root, 'dist', 'native', 'rows.node');
const compilers = process.env.CXX ? [process.env.CXX] : ['g++', 'c++', 'clang++'];

const COMMON = ['-std=c++17', '-fPIC', '-fvisibility=hidden', '-fno-math-errno', '-fno-trapping-math'];
const SPEED = ['-O3', '-ffp-contract=fast'];
/**
 * Fewer sums at a time, tiles of small networks too, and nothing optimised: the compiler would take minutes,
 * and the test needs seconds.
 */
const SANITIZERS = [
  ...['-O0', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
  ...['-DTAUTNET_WIDEST=3', '-DTAUTNET_SMALL'],
];
const AVX512 = ['-mavx512f', '-mavx512vl', '-mavx512dq', '-mfma', '-mprefer-vector-width=512'];
const SETS = [
  { name: 'baseline', bytes: 16, flags: [] },
  { name: 'avx2', bytes: 32, flags: ['-mavx2', '-mfma'] },
  { name: 'avx512', bytes: 64, flags: AVX512 },
];

/** Each is compiled for every set, the longest first. */
const KERNELS = ['intervals', 'rows', 'margins', 'loss'];

/** Ends without a kernel: the package works without it. */
function skip(reason) {
  console.log(
    `build: without the native kernels (${reason}); bounds of CROWN, DeepPoly, DeepZ and HBox take several ` +
      'times as long, training steps up to twice. Install g++ 12 or later and run npm run build again',
  );
  process.exit(0);
}

function headers() {
  try {
    return createRequire(import.meta.url)('node-api-headers').include_dir;
  } catch {
    return skip('node-api-headers is not installed');
  }
}

const isCompiler = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** Runs the compiler; a line of its own words when it fails. */
async function compile(compiler, args) {
  const child = spawn(compiler, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const [[status], words] = await Promise.all([once(child, 'close'), text(child.stderr)]);
  if (status !== 0)
    skip(`${compiler} failed: ${words.split('\n').find((line) => line.includes('error')) ?? status}`);
}

/** Runs the compiler several times, as many at once as there are cores. */
async function compileAll(compiler, calls) {
  const left = [...calls];
  const lane = async () => {
    for (let args = left.shift(); args !== undefined; args = left.shift()) await compile(compiler, args);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
}

function isFresh() {
  if (!existsSync(addon)) return false;
  const files = [...readdirSync(source).map((file) => join(source, file)), fileURLToPath(import.meta.url)];
  return files.every((file) => statSync(file).mtimeMs < statSync(addon).mtimeMs);
}

if (process.platform !== 'linux') skip(`it is built on Linux only, this is ${process.platform}`);
if (isFresh()) process.exit(0);
const include = headers();
const compiler = compilers.find(isCompiler) ?? skip(`no ${compilers.join(' or ')}`);
const flags = [...COMMON, ...(values.sanitize === undefined ? SPEED : SANITIZERS)];
const sets = process.arch === 'x64' ? SETS : SETS.slice(0, 1);
mkdirSync(dirname(addon), { recursive: true });
// A folder of its own for the objects: two builds do not meet, and the add-on is there whole or not at all.
const folder = mkdtempSync(join(dirname(addon), 'build-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const objects = KERNELS.flatMap((kernel) =>
  sets.map(({ name, bytes, flags: set }) => ({
    object: join(folder, `${kernel}-${name}.o`),
    source: join(source, `${kernel}.cpp`),
    flags: [...set, `-DTAUTNET_SET=${name}`, `-DTAUTNET_BYTES=${bytes}`],
  })),
);
await compileAll(
  compiler,
  objects.map((one) => [...flags, ...one.flags, '-c', one.source, '-o', one.object]),
);
const linked = join(folder, 'rows.node');
const names = values.sanitize === undefined ? ['-s'] : [];
const door = ['-shared', ...names, `-I${include}`, join(source, 'addon.cpp')];
await compile(compiler, [...flags, ...door, ...objects.map(({ object }) => object), '-o', linked]);
renameSync(linked, addon);
console.log(`build: the native kernels for ${sets.map(({ name }) => name).join(', ')}`);
