// Builds the row kernel (native/) into dist/native/rows.node where a C++ compiler and Node's headers are at
// hand; else says in one line what is slower without it. ONNX Runtime then does the same work.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'native');
const target = join(root, 'dist', 'native');
const addon = join(target, 'rows.node');
const compiler = process.env.CXX ?? 'g++';
const headers = join(dirname(dirname(process.execPath)), 'include', 'node');

function skip(reason) {
  console.log(
    `build: without the row kernel (${reason}); CROWN's bounds take several times as long. Install g++ 12 ` +
      'or later and the headers of Node, then run npm run build again',
  );
  process.exit(0);
}

/** Runs the compiler; a line of its own words when it fails. */
function compile(args) {
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: 'utf8' });
  if (error) skip(`no ${compiler}`);
  if (status !== 0)
    skip(`${compiler} failed: ${stderr.split('\n').find((l) => l.includes('error')) ?? status}`);
}

if (process.platform !== 'linux') skip(`it is built on Linux only, this is ${process.platform}`);
if (!existsSync(join(headers, 'node_api.h'))) skip(`no ${join(headers, 'node_api.h')}`);
const newest = Math.max(
  ...readdirSync(source).map((file) => statSync(join(source, file)).mtimeMs),
  statSync(fileURLToPath(import.meta.url)).mtimeMs,
);
if (existsSync(addon) && statSync(addon).mtimeMs > newest) process.exit(0);

mkdirSync(target, { recursive: true });
const common = ['-std=c++17', '-O3', '-fPIC', '-fvisibility=hidden', '-fno-math-errno', '-fno-trapping-math'];
const x86 = process.arch === 'x64';
const sets = [
  { name: 'baseline', bytes: 16, flags: [] },
  ...(x86
    ? [
        { name: 'avx2', bytes: 32, flags: ['-mavx2', '-mfma'] },
        {
          name: 'avx512',
          bytes: 64,
          flags: ['-mavx512f', '-mavx512vl', '-mavx512dq', '-mfma', '-mprefer-vector-width=512'],
        },
      ]
    : []),
];
const objects = sets.map(({ name, bytes, flags }) => {
  const object = join(target, `${name}.o`);
  const defines = [`-DTAUTNET_SET=${name}`, `-DTAUTNET_BYTES=${bytes}`];
  compile([...common, ...flags, ...defines, '-c', join(source, 'rows.cpp'), '-o', object]);
  return object;
});
const linked = `${addon}.${process.pid}`;
compile([...common, '-shared', `-I${headers}`, join(source, 'addon.cpp'), ...objects, '-o', linked]);
renameSync(linked, addon);
for (const object of objects) rmSync(object);
console.log(`build: the row kernel for ${sets.map(({ name }) => name).join(', ')}`);
