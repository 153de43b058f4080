import { afterAll, describe, expect, it } from 'vitest';
import { type FloatType, input, type Tensor } from '../../graph/index.js';
import { activationLayer, joinLayer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, INPUT, network, parameterInputs } from '../../network/network.js';
import type { Bounds } from '../../relaxation/relaxation.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { normalNumbers } from '../../testing/numbers.js';
import { errorOf, magnitudes, soundInterval } from './rounding-error.js';

const executor = createExecutor();
afterAll(() => executor.close());

it('the error of a layer is at least (m + 16 + N) 2⁻⁵³ of the sizes of its terms', async () => {
  const [inputs, outputs] = [6, 2];
  const net = chain('one', [inputs, 1, 1], [linearLayer([inputs, 1, 1], outputs)]);
  const box = {
    lower: input('lower', [inputs, 1], 'float64'),
    upper: input('upper', [inputs, 1], 'float64'),
  };
  const sizes = magnitudes(net, parameterInputs(net, 'float64'), box, () => box);
  const error = errorOf(net, sizes, 1, 1);
  error.visit(0, input('a', [outputs, 1], 'float64'));
  const plan = createPlan([{ kind: 'whole', outputs: { total: error.total() } }]);
  const feeds = {
    lower: new Float64Array(inputs).fill(-3),
    upper: new Float64Array(inputs).fill(2),
    a: Float64Array.of(1, -5),
    '0.weight': new Float64Array(inputs * outputs).fill(-4),
    '0.bias': Float64Array.of(7, -7),
  };
  const { total } = (await executor.run(plan, feeds)).outputs as { total: Float64Array };
  const terms = (1 + 5) * (inputs * 4 * 3 + 7);
  // Everything is counted twice.
  expect(total[0]).toBeGreaterThanOrEqual((inputs + 16 + 1) * 2 ** -52 * terms);
  expect(total[0]).toBeLessThan((inputs + 16 + 1) * 2 ** -51 * terms);
});

const [BATCH, ROWS] = [2, 3];
const four = [4, 1, 1] as const;
/** Three inputs, and a node of each kind: linear, ReLU, linear, join of the last two, tanh, linear. */
const net = network(
  'all kinds',
  [3, 1, 1],
  [
    { layer: linearLayer([3, 1, 1], 4), inputs: [INPUT] },
    { layer: reluLayer(four), inputs: [0] },
    { layer: linearLayer(four, 4), inputs: [1] },
    { layer: joinLayer(four), inputs: [1, 2] },
    { layer: activationLayer(four, 'tanh'), inputs: [3] },
    { layer: linearLayer(four, 2), inputs: [4] },
  ],
);
/** Features of a node, of the input and of all nodes. */
const featuresAt = (node: number) => (node === INPUT ? 3 : node === 5 ? 2 : 4);
/** Features that a layer reads and gives, the more of the two. */
const widthAt = (node: number) => (node === INPUT ? 3 : 4);
const NODES = 6;

const numbers = (name: string, size: number) => Float64Array.from(normalNumbers(name, size), Math.fround);
const weights = {
  ...{ '0.weight': numbers('0w', 12), '0.bias': numbers('0b', 4) },
  ...{ '2.weight': numbers('2w', 16), '2.bias': numbers('2b', 4) },
  ...{ '5.weight': numbers('5w', 8), '5.bias': numbers('5b', 2) },
};
const size = (l: ArrayLike<number>, u: ArrayLike<number>, at: number) =>
  Math.max(Math.abs(l[at] as number), Math.abs(u[at] as number));
const column = (name: string, features: number) => ({
  lower: numbers(`${name} l`, features * BATCH).map((v) => Math.fround(v - 1)),
  upper: numbers(`${name} u`, features * BATCH).map((v) => Math.fround(v + 4)),
});
const known = { box: column('box', 3), 0: column('before 1', 4), 3: column('before 4', 4) };

/** S of a node, [features, batch], in the plain arithmetic of its definition. */
function sizesAt(node: number): number[] {
  const ends = (of: 'box' | 0 | 3) =>
    Array.from(known[of].lower, (_, at) => size(known[of].lower, known[of].upper, at));
  const affine = (k: 0 | 2 | 5, from: number[]) =>
    Array.from({ length: featuresAt(k) * BATCH }, (_, at) => {
      const [row, b] = [Math.floor(at / BATCH), at % BATCH];
      const inputs = from.length / BATCH;
      let sum = Math.abs(weights[`${k}.bias`][row] as number);
      for (let i = 0; i < inputs; i++)
        sum += Math.abs(weights[`${k}.weight`][row * inputs + i] as number) * (from[i * BATCH + b] as number);
      return sum;
    });
  if (node === INPUT) return ends('box');
  if (node === 1) return ends(0);
  if (node === 3) return sizesAt(1).map((s, at) => s + (sizesAt(2)[at] as number));
  if (node === 4) return ends(3).map((s) => s + 2);
  return affine(node as 0 | 2 | 5, sizesAt(node === 0 ? INPUT : node === 2 ? 1 : 4));
}

/** Tensors of the box, and of what is known of the inputs of the ReLU and of tanh. */
function given(dtype: FloatType, batch: number) {
  const bounds = (name: string, features: number): Bounds => ({
    lower: input(`${name} l`, [features, batch], dtype),
    upper: input(`${name} u`, [features, batch], dtype),
  });
  const [box, relu, tanh] = [bounds('box', 3), bounds('0', 4), bounds('3', 4)];
  const parameters = parameterInputs(net, dtype);
  const sizes = magnitudes(net, parameters, box, (node) => (node === 1 ? relu : tanh));
  return { parameters, box, relu, tanh, sizes };
}
/** Values of these, of the boxes `from` and after. */
function feedsOf(dtype: FloatType, from: number, batch: number) {
  const typed = (x: Float64Array) => (dtype === 'float32' ? Float32Array.from(x) : x);
  const some = (x: Float64Array) =>
    typed(x.filter((_, at) => at % BATCH >= from && at % BATCH < from + batch));
  const columns = Object.entries(known).flatMap(([name, { lower, upper }]) => [
    [`${name} l`, some(lower)],
    [`${name} u`, some(upper)],
  ]);
  return {
    ...Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, typed(w)])),
    ...Object.fromEntries(columns),
  };
}
const run = async (
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Readonly<Record<string, Float32Array | Float64Array>>,
) =>
  (await executor.run(createPlan([{ kind: 'whole', outputs }]), feeds)).outputs as Record<
    string,
    Float64Array
  >;

describe('the error of a back-substitution', () => {
  const nodes = [5, 4, 3, 2, 1, 0, INPUT];
  const rowsAt = (node: number, batch = BATCH) => numbers(`a ${node}`, featuresAt(node) * ROWS * batch);

  it.each([1, BATCH])(
    'adds up (m + 16 + N) 2⁻⁵² |a|·S of all nodes, whatever they are: %d boxes',
    async (batch) => {
      const { sizes } = given('float64', batch);
      const error = errorOf(net, sizes, ROWS, batch);
      for (const node of nodes)
        error.visit(node, input(`a ${node}`, [featuresAt(node), ROWS * batch], 'float64'));
      const rows = Object.fromEntries(nodes.map((node) => [`a ${node}`, rowsAt(node, batch)]));
      // The same of rows of which some are not visited.
      const some = errorOf(net, sizes, ROWS, batch);
      const tensorOf = (node: number) =>
        [node, input(`a ${node}`, [featuresAt(node), ROWS * batch], 'float64')] as const;
      for (const node of nodes.slice(0, 4)) some.visit(...tensorOf(node));
      const outputs = { total: error.total(), with: some.with(nodes.slice(4).map(tensorOf)) };
      const { total, with: both } = await run(outputs, { ...feedsOf('float64', 0, batch), ...rows });
      both?.forEach((found, at) => {
        expect(found / (total?.[at] as number)).toBeCloseTo(1, 12);
      });
      for (let r = 0; r < ROWS; r++)
        for (let b = 0; b < batch; b++) {
          let sum = 0;
          for (const node of nodes)
            for (let i = 0; i < featuresAt(node); i++) {
              const a = rows[`a ${node}`]?.[(i * ROWS + r) * batch + b] as number;
              const of = sizesAt(node)[i * BATCH + b] as number;
              sum += Math.abs(a) * of * (widthAt(node) + 16 + NODES) * 2 ** -52;
            }
          const found = total?.[r * batch + b] as number;
          expect(found / sum).toBeGreaterThan(1 - 1e-12);
          // Sizes of at least 2⁻⁵⁰ are counted besides.
          expect(found / sum).toBeLessThan(1 + 1e-12);
        }
    },
  );

  it('of rows that are zero is what underflows: τ (1 + ΣX) for a node and all that it reads', async () => {
    const { sizes } = given('float32', 1);
    const sum = (node: number) => sizesAt(node).reduce((all, s, at) => (at % BATCH === 0 ? all + s : all), 0);
    const reads = new Map([
      [INPUT, []],
      [0, [INPUT]],
      [3, [1, 2]],
      [5, [4]],
    ]);
    for (const [node, from] of reads) {
      const error = errorOf(net, sizes, ROWS, 1);
      error.visit(node, input('a', [featuresAt(node), ROWS], 'float32'));
      const feeds = { ...feedsOf('float32', 0, 1), a: new Float32Array(featuresAt(node) * ROWS) };
      const { total } = await run({ total: error.total() }, feeds);
      const lost = 2 ** -40 * (1 + sum(node) + from.reduce((all, one) => all + sum(one), 0));
      for (const found of total ?? []) expect(found / lost).toBeCloseTo(1, 5);
      expect(total).toHaveLength(ROWS);
    }
  });
});

describe('a sound interval of a node', () => {
  const from = ({ box, relu, tanh }: ReturnType<typeof given>, node: number) =>
    node === 3 ? [relu, tanh] : [node === 0 ? box : relu];
  const ends = async (
    node: number,
    dtype: FloatType,
    feeds: Readonly<Record<string, Float32Array | Float64Array>>,
  ) => {
    const all = given(dtype, 1);
    const { lower, upper } = soundInterval(net, all.parameters, node, from(all, node), all.sizes);
    return run({ lower, upper }, feeds);
  };

  it.each([0, 1, 2, 3, 5])('in float32 holds that of float64, and is little wider: node %d', async (node) => {
    const single = await ends(node, 'float32', feedsOf('float32', 0, 1));
    const double = await ends(node, 'float64', feedsOf('float64', 0, 1));
    // A ReLU rounds nothing; all else is moved outwards by twice its error.
    const width = node === 1 ? 0 : 2 * (4 + 16 + NODES) * 2 ** -23;
    for (const [at, low] of (double.lower as Float64Array).entries()) {
      const [high, s] = [double.upper?.[at] as number, sizesAt(node)[at * BATCH] as number];
      const [below, above] = [low - (single.lower?.[at] as number), (single.upper?.[at] as number) - high];
      expect(Math.min(below, above)).toBeGreaterThanOrEqual(0.9 * width * s);
      expect(Math.max(below, above)).toBeLessThanOrEqual(1.1 * width * s);
    }
  });

  it('of a ReLU is no number where what it reads is none', async () => {
    const feeds = feedsOf('float32', 0, 1);
    (feeds['0 l'] as Float32Array)[1] = Number.NaN;
    const { lower, upper } = await ends(1, 'float32', feeds);
    expect([lower?.[1], Number.isNaN(upper?.[1]), Number.isNaN(lower?.[0])]).toEqual([
      Number.NaN,
      false,
      false,
    ]);
  });
});
