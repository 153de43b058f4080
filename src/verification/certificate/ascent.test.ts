import { expect, test } from 'vitest';
import { boundNodes } from '../../../checker/bounds.js';
import { readOnnx } from '../../../checker/onnx.js';
import type { Row } from '../../../checker/vnnlib.js';
import { exportOnnx } from '../../network/onnx/export.js';
import { normalNumbers } from '../../testing/numbers.js';
import { singleParameters } from '../../testing/property-cases.js';
import { denseNetwork } from '../../testing/searches.js';
import { ascend, type Problem } from './ascent.js';
import { crownAlpha, dualAt } from './dual.js';

/** A dense network over a box, with one decided ReLU, and where the ascent starts. */
function problemOf(seed: number) {
  const nodes = readOnnx(
    exportOnnx(denseNetwork(4, 14, 14, 2), singleParameters(denseNetwork(4, 14, 14, 2), seed)),
  );
  const centre = normalNumbers(`centre ${seed}`, 4);
  const box = { lower: centre.map((c) => c - 0.5), upper: centre.map((c) => c + 0.5) };
  const bounds = boundNodes(nodes, box, () => undefined);
  const row: Row = {
    outputs: [
      [0, 1],
      [1, -1],
    ],
    inputs: [],
    bound: 0,
  };
  const relus = nodes.flatMap(({ op, size }, k) => (op === 'relu' ? [[k, size] as const] : []));
  const signs = new Map(relus.map(([k, size]) => [k, new Int8Array(size)]));
  const [first] = relus as [readonly [number, number]];
  const neuron = bounds.unstable[first[0]]?.findIndex((index) => index >= 0) as number;
  const own = signs.get(first[0]) as Int8Array;
  if (neuron >= 0) own[neuron] = seed % 2 === 0 ? 1 : -1;
  const problem: Problem = { nodes, bounds, row, signs };
  const beta = new Map(relus.map(([k, size]) => [k, new Float64Array(size)]));
  return { problem, from: { alpha: crownAlpha(nodes, bounds), beta } };
}

test('ascent raises the bound, its multipliers stay in their ranges, and its start stays as it was', () => {
  let [raised, multiplied, total] = [0, 0, 0];
  for (let seed = 1; seed <= 30; seed++) {
    const { problem, from } = problemOf(seed);
    const { nodes, bounds, row, signs } = problem;
    const start = dualAt(nodes, bounds, row, signs, from).value;
    const best = ascend(problem, from, 40, () => false);
    expect(best.dual.value).toBeGreaterThanOrEqual(start);
    // The multipliers are those of the bound that comes with them.
    expect(dualAt(nodes, bounds, row, signs, best).value).toBe(best.dual.value);
    for (const v of best.alpha) expect(v >= 0 && v <= 1).toBe(true);
    for (const array of best.beta.values()) for (const v of array) expect(v >= 0).toBe(true);
    for (const array of from.beta.values()) expect(array.every((v) => v === 0)).toBe(true);
    expect(from.alpha).toEqual(crownAlpha(nodes, bounds));
    raised += Number(best.dual.value > start + 1e-6);
    multiplied += Number([...best.beta.values()].some((array) => array.some((v) => v > 0)));
    total += best.dual.value - start;
  }
  expect(raised).toBeGreaterThan(20);
  expect(multiplied).toBeGreaterThan(5);
  expect(total / 30).toBeGreaterThan(0.45);
});

test('ascent ends where the bound is enough', () => {
  const { problem, from } = problemOf(3);
  let asked = 0;
  const first = ascend(problem, from, 40, () => ++asked > 0);
  expect(asked).toBe(1);
  expect(first.alpha).toEqual(from.alpha);
  ascend(problem, from, 7, () => ++asked < 0);
  expect(asked).toBe(8);
});
