import { expect, test } from 'vitest';
import { normalNumbers } from '../../testing/numbers.js';
import { arrayName, marginsName, type ReluSolverOptions, solve } from './relu-solver.js';

/** One input, two hidden layers of WIDTH, the first one's outputs join the second one's, CLASSES outputs. */
const [WIDTH, CLASSES, ROWS, BATCH] = [5, 3, 2, 2];
const nodes: ReluSolverOptions['nodes'] = [
  { kind: 'affine', inputs: [-1] },
  { kind: 'relu', inputs: [0] },
  { kind: 'affine', inputs: [1] },
  { kind: 'relu', inputs: [2] },
  { kind: 'join', inputs: [3, 1] },
  { kind: 'affine', inputs: [4] },
];
const sizes = [
  [0, WIDTH, 1],
  [2, WIDTH, WIDTH],
  [5, CLASSES, WIDTH],
] as const;

type Arrays = Record<string, Float64Array>;

function arraysOf(seed: number): Arrays {
  const arrays: Arrays = {};
  for (const [k, outputs, inputs] of sizes) {
    arrays[arrayName('matrix', k)] = normalNumbers(`matrix ${k} ${seed}`, outputs * inputs);
    // The last layer has no bias.
    if (k < 5) arrays[arrayName('bias', k)] = normalNumbers(`bias ${k} ${seed}`, outputs);
  }
  return arrays;
}

/** Values of the nodes at x. */
function valuesAt(arrays: Arrays, x: number): number[][] {
  const affine = (k: number, from: readonly number[]) => {
    const matrix = arrays[arrayName('matrix', k)] as Float64Array;
    const bias = arrays[arrayName('bias', k)];
    return Array.from({ length: matrix.length / from.length }, (_, j) =>
      from.reduce((sum, v, i) => sum + (matrix[j * from.length + i] as number) * v, bias?.[j] ?? 0),
    );
  };
  const relu = (from: readonly number[]) => from.map((v) => Math.max(0, v));
  const first = affine(0, [x]);
  const second = affine(2, relu(first));
  const joined = relu(second).map((v, i) => v + (relu(first)[i] as number));
  return [first, relu(first), second, relu(second), joined, affine(5, joined)];
}

test('minima are those of the function, and relaxed ones are below them', async () => {
  let [unstable, looser] = [0, 0];
  for (let seed = 1; seed <= 16; seed++) {
    const arrays = arraysOf(seed);
    const radius = [0.01, 0.8, 3][seed % 3] as number;
    const centres = normalNumbers(`centre ${seed}`, BATCH);
    const [lower, upper] = [centres.map((c) => c - radius), centres.map((c) => c + radius)];
    const rows = normalNumbers(`rows ${seed}`, CLASSES * ROWS * BATCH);
    const steps = 4000;
    const least = new Float64Array(ROWS * BATCH).fill(Number.POSITIVE_INFINITY);
    const ends = [0, 2].map(() => ({
      low: new Float64Array(WIDTH * BATCH).fill(Number.POSITIVE_INFINITY),
      high: new Float64Array(WIDTH * BATCH).fill(Number.NEGATIVE_INFINITY),
    }));
    for (let image = 0; image < BATCH; image++)
      for (let step = 0; step <= steps; step++) {
        const x = (lower[image] as number) + (2 * radius * step) / steps;
        const values = valuesAt(arrays, x);
        ends.forEach(({ low, high }, layer) => {
          values[2 * layer]?.forEach((v, i) => {
            const at = i * BATCH + image;
            low[at] = Math.min(low[at] as number, v - 0.1 * radius);
            high[at] = Math.max(high[at] as number, v + 0.1 * radius);
          });
        });
        for (let row = 0; row < ROWS; row++) {
          const value = (values[5] as number[]).reduce(
            (sum, y, k) => sum + (rows[(k * ROWS + row) * BATCH + image] as number) * y,
            0,
          );
          const at = row * BATCH + image;
          least[at] = Math.min(least[at] as number, value);
        }
      }
    const inputs: Arrays = { ...arrays, lower, upper, rows, batch: new Float64Array(BATCH) };
    ends.forEach(({ low, high }, layer) => {
      inputs[arrayName('lower', 2 * layer + 1)] = low;
      inputs[arrayName('upper', 2 * layer + 1)] = high;
      unstable += low.reduce((sum, l, i) => sum + Number(l < 0 && (high[i] as number) > 0), 0);
    });
    const found = async (exact: boolean) => {
      const outputs = await solve(inputs, { name: 'test', nodes, exact, seconds: 60 });
      return outputs[marginsName('test')] as Float64Array;
    };
    const [whole, relaxed] = [await found(true), await found(false)];
    least.forEach((value, at) => {
      // A grid misses less of the minimum than its step times the slope.
      expect(whole[at]).toBeLessThanOrEqual(value + 1e-6);
      expect(value - (whole[at] as number)).toBeLessThan(0.05 * radius);
      expect(relaxed[at]).toBeLessThanOrEqual((whole[at] as number) + 1e-6);
      looser += Number((relaxed[at] as number) < (whole[at] as number) - 0.01);
    });
  }
  expect(unstable).toBeGreaterThan(20);
  expect(looser).toBeGreaterThan(3);
});

test('bounds that no input fulfils are an error that names the image and the row', async () => {
  const arrays = arraysOf(1);
  const far = (value: number) => new Float64Array(WIDTH * BATCH).fill(value);
  const inputs: Arrays = {
    ...arrays,
    lower: new Float64Array(BATCH).fill(-1),
    upper: new Float64Array(BATCH).fill(1),
    rows: normalNumbers('rows', CLASSES * ROWS * BATCH),
    batch: new Float64Array(BATCH),
    [arrayName('lower', 1)]: far(-1e-3),
    [arrayName('upper', 1)]: far(1e-3),
    [arrayName('lower', 3)]: far(-1e-3),
    [arrayName('upper', 3)]: far(1e-3),
  };
  await expect(solve(inputs, { name: 'test', nodes, exact: false, seconds: 60 })).rejects.toThrow(
    /^test, image 0, margin 0: .*give it more time, a smaller network, or a looser relaxation$/,
  );
});
