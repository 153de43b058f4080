import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { ROOT } from '../../testing/tautnet-process.js';

const folder = mkdtempSync(join(tmpdir(), 'tautnet-sanitized-'));
afterAll(() => rmSync(folder, { recursive: true }));

const output = (command: string, ...args: string[]): string => {
  const { stdout, status } = spawnSync(command, args, { encoding: 'utf8', cwd: ROOT });
  return status === 0 ? stdout.trim() : '';
};

/** The sanitizer's library, that a process without it loads first; undefined without the compiler. */
const library = output('g++', '-print-file-name=libasan.so') || undefined;
if (library === undefined) console.log('native kernels: not run with sanitizers, there is no g++');

const built = (file: string): string => JSON.stringify(join(ROOT, 'dist', file));

/** Random networks, members and images through the loss kernel, in the same way. */
const LOSSES = `
const { architecture } = await import(${built('network/architectures.js')});
const { parameterCount, parameterLayout } = await import(${built('network/parameters.js')});
const { lossKernelOf } = await import(${built('objective/loss-kernel.js')});
const { encodeLoss } = await import(${built('runtime/kernels/loss-chain.js')});
const { relaxations } = await import(${built('relaxation/index.js')});
const one = (values) => values[random(values.length)];
const convolution = () =>
  'conv ' + (1 + random(9)) + '@' + (1 + random(3)) + ' s' + (1 + random(2)) + ' p' + random(2) + ', ';
for (let run = 0; run < 60; run++) {
  const input = [1 + random(2), 6 + random(3), 6 + random(3)];
  const hidden = one(['', 'linear 5, ', 'linear 18, ']);
  const layers = Array.from({ length: random(3) }, convolution).join('') + hidden + 'linear';
  const statistics = { mean: Array(input[0]).fill(0.5), std: Array(input[0]).fill(0.5) };
  const network = architecture(layers, input, 2 + random(12), random(2) ? statistics : undefined);
  const [microBatch, parts, members] = [1 + random(20), 1 + random(2), 1 + random(2)];
  const options = {
    network, microBatch, natural: one(['none', 'accuracy', 'loss']), clipBox: random(2) === 1,
    l1: random(2), warmupRegularizer: random(2) === 1,
  };
  const { loss } = lossKernelOf(options, { bound: relaxations[one(['ibp', 'crown-ibp', 'crown', 'crown'])] });
  const layout = parameterLayout(network);
  const coordinates = parameterCount(layout);
  const offsets = Object.fromEntries(layout.map(({ name, offset }) => [name, offset]));
  const images = microBatch * parts;
  const labels = Int32Array.from({ length: images }, () => random(network.classes));
  for (const Type of [Float32Array, Float64Array])
    for (const set of ['baseline', 'AVX2', 'AVX-512']) {
      addon.instructionSet(set);
      const points = exact(Type, members * coordinates);
      const ints = encodeLoss(loss, parts, loss.warmup, { points, offsets, coordinates });
      const weight = exact(Type, images).map((w, i) => (i % 7 === 6 ? 0 : 1.5 + w));
      const normalization = Type.from(loss.normalization.length > 0 ? loss.normalization : [1, 0]);
      const pixels = exact(Type, images * input[0] * input[1] * input[2]);
      const floats = [normalization, points, pixels, weight, Type.of(0.1)];
      const chains = loss.chains.map(({ ints }) => ints);
      addon.losses(ints, chains, floats, labels, new Float64Array(members * parts * 8));
    }
}
`;

/**
 * Rows of outputs through random layers and back, over boxes and bounds of which some are of one sign, or by
 * lines that are arrays, some with sides, given or to be chosen, and by the best that a search finds, with
 * batches that fill no vector, or some and a part.
 */
const MARGINS = `
const { arrivedSize, encodeMargins } = await import(${JSON.stringify(join(ROOT, 'dist/runtime/kernels/margin-chain.js'))});
for (let run = 0; run < 80; run++) {
  const chooses = random(4) === 0;
  const [batch, rows] = chooses ? [1, 1 + random(8)] : [1 + random(20), 1 + random(5)];
  let [position, extents] = [1, [1 + random(5), 1, 1]];
  const next = () => position++;
  const nested = random(3) === 0;
  const part = () => ({ at: next(), perRow: random(2) === 1 });
  const maybe = () => (random(2) ? part() : undefined);
  const lines = () => {
    const above = { lambda: part(), mu: maybe(), shift: maybe() };
    return { kind: 'lines', extents, alpha: part(), ...above, dual: random(2) === 1 };
  };
  const steps = Array.from({ length: 1 + random(4) }, (_, k) => {
    if (k > 0 && random(2))
      return random(2) && !nested ? lines() : { kind: 'relu', extents, lower: next(), upper: next() };
    const output = extents;
    const isVector = output[1] === 1 && output[2] === 1 && random(2) === 1;
    const pair = (most) => [1 + random(most), 1 + random(most)];
    const [kernel, stride] = isVector ? [pair(4), [1, 1]] : [pair(3), pair(2)];
    const padding = isVector ? [0, 0] : [random(3), random(3)];
    const reach = (i) => (output[i + 1] - 1) * stride[i] + kernel[i];
    const side = (i) => (isVector ? kernel[i] : Math.max(1, reach(i) - padding[i] + random(3) - 1));
    extents = [1 + random(20), side(0), side(1)];
    const bias = random(2) ? next() : undefined;
    return { kind: 'affine', output, input: extents, kernel, stride, padding, bias, weight: next() };
  });
  steps.forEach((step, k) => {
    if (step.dual && steps[k + 1]?.kind === 'affine' && random(4) > 0)
      step.sides = { weights: next(), numbers: next(), ends: chooses ? [next(), next()] : undefined };
  });
  const encoded = encodeMargins({ batch, rows, nested, steps });
  for (const Type of [Float32Array, Float64Array])
    for (const set of ['baseline', 'AVX2', 'AVX-512']) {
      addon.instructionSet(set);
      const arrays = encoded.sizes.map((size) => exact(Type, size));
      const margins = exact(Type, encoded.margins);
      addon.margins(encoded.ints, arrays, margins, []);
      const wanted = arrays.map((array) => (random(4) > 0 ? exact(Type, array.length) : undefined));
      addon.margins(encoded.ints, arrays, margins, wanted);
      const sought = (i) => encoded.searchable.includes(i) && random(3) > 0;
      const best = arrays.map((array, i) => (sought(i) ? exact(Type, array.length) : undefined));
      const sizes = exact(Type, 1 + random(3));
      addon.margins(encoded.ints, arrays, margins, best, sizes);
      const rule = Float64Array.of(0.9, 0.999, 0.5, Infinity);
      const seen = (i) => (random(3) > 0 ? exact(Type, arrivedSize(encoded, i)) : undefined);
      const arrived = random(2) ? arrays.map((_, i) => seen(i)) : [];
      addon.margins(encoded.ints, arrays, margins, best, sizes, exact(Type, encoded.margins), rule, arrived);
    }
}
`;

/**
 * Random chains, rows and cotangents through the add-on with every instruction set, in both float
 * types, and random layers with what is seen of them; every array ends where its memory ends.
 */
const PROGRAM = `
import { createRequire } from 'node:module';
import { encodeChain } from ${JSON.stringify(join(ROOT, 'dist/runtime/kernels/row-chain.js'))};
const addon = createRequire(import.meta.url)(process.argv[2]);
let state = 1;
const random = (n) => (state = (state * 48271) % 2147483647) % n;
const exact = (Type, size) => {
  const array = new Type(new ArrayBuffer(size * Type.BYTES_PER_ELEMENT));
  return array.map(() => random(2001) / 1000 - 1);
};
const conv = (channels, window, layer, stride, padding) => ({ channels, window, layer, stride, padding });
for (let run = 0; run < 60; run++) {
  const [batch, c0, c1, c2] = [1 + random(3), 1 + random(3), 1 + random(5), 1 + random(40)];
  const kernel = [1 + random(3), 1 + random(4)];
  const [grid, stride] = [[1 + random(3), 1 + random(3)], [1 + random(2), 1 + random(2)]];
  const hidden = [grid[0] + 1, grid[1] + 1];
  const behind = [1 + 2 * kernel[0], 1 + 2 * kernel[1]];
  const region = conv(c1, [2, 2], hidden, [1, 1], [1, 0]);
  const seen = [stride[0] + kernel[0], stride[1] + kernel[1]];
  const input = conv(c0, seen, behind, stride, [stride[0] + 1, 1]);
  const bounds = random(2) === 1;
  const relu = { kind: 'relu', region };
  const affine = { kind: 'affine', region, behind: input, kernel, stride, padding: [0, 0] };
  const encoded = encodeChain({
    batch, channels: c2, grid, weight: 0, bias: 1, input,
    steps: [
      { step: relu, arrays: bounds ? [2, 3, 4, 7, 8] : [2, 3, 4] },
      { step: affine, arrays: [5, 6] },
    ],
  });
  for (const Type of [Float32Array, Float64Array])
    for (const set of ['baseline', 'AVX2', 'AVX-512']) {
      addon.instructionSet(set);
      const arrays = encoded.sizes.map((size) => exact(Type, size));
      for (const table of [2, 3]) arrays[table].forEach((_, i) => { arrays[table][i] = random(3) / 2; });
      const all = batch * c2 * grid[0] * grid[1];
      const rows = Int32Array.from({ length: all }, (_, i) => i).filter(() => random(4) > 0);
      const [lower, upper] = [exact(Type, rows.length), exact(Type, rows.length)];
      if (rows.length === 0) continue;
      addon.rows(encoded.ints, arrays, rows, lower, upper, []);
      const wanted = arrays.map((array) => (random(4) > 0 ? new Type(array.length) : undefined));
      addon.rows(encoded.ints, arrays, rows, lower, upper, wanted);
    }
}
const { encodeLayers } = await import(${JSON.stringify(join(ROOT, 'dist/runtime/kernels/layer-chain.js'))});
for (let run = 0; run < 60; run++) {
  const [batch, planes] = [1 + random(20), 1 + random(2)];
  let [position, extents, isVector] = [planes, [1 + random(3), 1 + random(5), 1 + random(5)], false];
  const next = () => position++;
  const maybe = () => (random(2) ? position++ : undefined);
  const layers = Array.from({ length: 1 + random(4) }, () => {
    isVector ||= random(3) === 0;
    const input = isVector ? [extents.reduce((a, b) => a * b), 1, 1] : extents;
    const pair = (most) => [1 + random(most), 1 + random(most)];
    const kernel = isVector ? [1, 1] : [1 + random(input[1]), 1 + random(input[2])];
    const [stride, padding] = isVector ? [[1, 1], [0, 0]] : [pair(3), [random(3), random(3)]];
    const places = kernel.map((k, i) => Math.floor((input[i + 1] + padding[i] - k) / stride[i]) + 1);
    const output = [1 + random(20), ...places];
    const ends = () => Array.from({ length: planes }, maybe);
    const layer = { input, output, kernel, stride, padding, relu: random(2) === 1, weight: next() };
    extents = output;
    const moments = layer.relu && planes === 2 ? maybe() : undefined;
    return { ...layer, bias: maybe(), sums: ends(), passed: layer.relu ? ends() : [], moments };
  });
  const present = layers.some(({ moments }) => moments !== undefined) ? position++ : undefined;
  const encoded = encodeLayers({ batch, input: [0, 1].slice(0, planes), layers, present });
  for (const Type of [Float32Array, Float64Array])
    for (const set of ['baseline', 'AVX2', 'AVX-512']) {
      addon.instructionSet(set);
      const arrays = encoded.sizes.map((size) => exact(Type, size));
      addon.propagate(encoded.ints, arrays, [], undefined);
      const stored = new Type(new ArrayBuffer(encoded.stored * Type.BYTES_PER_ELEMENT));
      addon.propagate(encoded.ints, arrays, [], stored);
      const wanted = arrays.map((array) => (random(4) > 0 ? exact(Type, array.length) : undefined));
      addon.propagate(encoded.ints, arrays, wanted, stored);
    }
}
${MARGINS}
${LOSSES}
console.log('clean');
`;

it.skipIf(library === undefined)(
  'the kernels touch no memory but their arrays and do nothing that C++ leaves undefined',
  () => {
    const addon = join(folder, 'rows.node');
    const args = [join('scripts', 'build-native.mjs'), '--sanitize', addon];
    const built = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
    expect(built.stdout).toMatch(/build: the native kernels for/);
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', PROGRAM.replace('process.argv[2]', JSON.stringify(addon))],
      {
        cwd: ROOT,
        encoding: 'utf8',
        env: {
          ...process.env,
          LD_PRELOAD: library,
          ASAN_OPTIONS: 'detect_leaks=0',
          UBSAN_OPTIONS: 'print_stacktrace=1',
        },
      },
    );
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe('clean');
  },
);
