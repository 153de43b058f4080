import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { sizeOf } from '../graph/index.js';
import { reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain } from '../network/network.js';
import { parameterLayout, views } from '../network/parameters.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { deriveKey, keyOf, uniforms } from '../runtime/random/keys.js';
import { randomNormals, runNetwork } from '../testing/onnx-runs.js';
import { type DescentShape, descentInputs, descentOf, descentPlan } from './inequality-descent.js';

const executor = createExecutor();
afterAll(() => executor.close());

const net = chain(
  'small',
  [3, 1, 1],
  [linearLayer([3, 1, 1], 6), reluLayer([6, 1, 1]), linearLayer([6, 1, 1], 2)],
);
const layout = parameterLayout(net);
const shape: DescentShape = { batch: 5, rows: 2, inputTerms: true, steps: 8 };
const plan = descentPlan(net, shape);
const [FEATURES, CLASSES, { batch, rows }] = [3, 2, shape];

/** Random boxes, inequalities and starts. */
function problem(seed: number) {
  const key = keyOf(seed);
  const parameters = views(randomNormals(deriveKey(key, 0, 0), 38, 0.8), layout);
  const feeds = Object.fromEntries(
    Object.entries(descentInputs(shape, FEATURES, CLASSES)).map(([name, extents], i) => [
      name,
      randomNormals(deriveKey(key, 1, i), sizeOf(extents)),
    ]),
  ) as Record<string, Float32Array>;
  const of = (name: string) => feeds[name] as Float32Array;
  feeds.upper = of('lower').map((low, i) => low + Math.abs(of('upper')[i] as number));
  const places = new Float32Array(FEATURES * batch);
  uniforms(deriveKey(key, 2, 0), places);
  feeds.start = of('lower').map((low, i) =>
    Math.min(of('upper')[i] as number, low + (places[i] as number) * ((of('upper')[i] as number) - low)),
  );
  feeds.kept = of('start').slice();
  feeds.reached = new Float32Array(batch).fill(Number.POSITIVE_INFINITY);
  feeds.summed = Float32Array.of(0, 1, 0, 1, 0);
  feeds.size = new Float32Array(batch).fill(0.2);
  feeds.diversion = new Float32Array(CLASSES * batch);
  return { parameters, feeds };
}

/** max_r c_r·f(x) + d_r·x − b_r of each column. */
async function worstAt(
  parameters: Record<string, Float32Array>,
  feeds: Record<string, Float32Array>,
  points: Float32Array,
): Promise<number[]> {
  const columns = Float32Array.from(
    points,
    (_, i) => points[(i % FEATURES) * batch + Math.floor(i / FEATURES)] as number,
  );
  const outputs = await runNetwork(net, parameters, columns, batch);
  const coefficient = (name: string, i: number, row: number, column: number) =>
    feeds[name]?.[(i * rows + row) * batch + column] as number;
  return Array.from({ length: batch }, (_, column) =>
    Math.max(
      ...Array.from({ length: rows }, (_, row) => {
        let value = -(feeds.bounds?.[row * batch + column] as number);
        for (let j = 0; j < CLASSES; j++)
          value += coefficient('outputs', j, row, column) * (outputs[column * CLASSES + j] as number);
        for (let i = 0; i < FEATURES; i++)
          value += coefficient('inputs', i, row, column) * (columns[column * FEATURES + i] as number);
        return value;
      }),
    ),
  );
}

test('a descent stays in its boxes, reports the best point that it visited, and is never above its start', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const { parameters, feeds } = problem(seed);
      const { point, best, worst } = descentOf(
        (await executor.run(plan, { ...parameters, ...feeds })).outputs,
      );
      for (const x of [point, best])
        x.forEach((v, i) => {
          expect(v).toBeGreaterThanOrEqual(feeds.lower?.[i] as number);
          expect(v).toBeLessThanOrEqual(feeds.upper?.[i] as number);
        });
      const expected = await worstAt(parameters, feeds, best);
      const before = await worstAt(parameters, feeds, feeds.start as Float32Array);
      worst.forEach((value, column) => {
        expect(value).toBeCloseTo(expected[column] as number, 3);
        expect(value).toBeLessThanOrEqual((before[column] as number) + 1e-3);
      });
    }),
    { numRuns: 30 },
  );
});

test('a run goes on from what an earlier one reached, and keeps it where it is better', async () => {
  const { parameters, feeds } = problem(5);
  const kept = (feeds.kept as Float32Array).map((v) => v + 1);
  const reached = new Float32Array(batch).fill(-1e6);
  const { best, worst } = descentOf(
    (await executor.run(plan, { ...parameters, ...feeds, kept, reached })).outputs,
  );
  expect([best, worst]).toEqual([kept, reached]);
});

test('a large diversion moves along the outputs instead of the inequalities', async () => {
  const { parameters, feeds } = problem(11);
  const alongFirst = new Float32Array(CLASSES * batch).fill(1e6, 0, batch);
  const { point } = descentOf(
    (await executor.run(plan, { ...parameters, ...feeds, diversion: alongFirst })).outputs,
  );
  const outputAt = async (x: Float32Array) => {
    const columns = Float32Array.from(
      x,
      (_, i) => x[(i % FEATURES) * batch + Math.floor(i / FEATURES)] as number,
    );
    return (await runNetwork(net, parameters, columns, batch)).filter((_, i) => i % CLASSES === 0);
  };
  const [before, after] = [await outputAt(feeds.start as Float32Array), await outputAt(point)];
  expect(after.reduce((a, b) => a + b)).toBeLessThan(before.reduce((a, b) => a + b));
});
