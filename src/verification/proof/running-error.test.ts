import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { add, constant, type FloatType, input, mul, type Tensor } from '../../graph/index.js';
import { type Extents, featuresOf, joinLayer, type Layer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { normalizeLayer } from '../../network/layers/normalize.js';
import { chain, forward, INPUT, type Network, network, parameterInputs } from '../../network/network.js';
import { relaxations } from '../../relaxation/index.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { anyNetworks } from '../../testing/bound-cases.js';
import { normalNumbers, uniformNumbers } from '../../testing/numbers.js';
import { importedNetworks, randomParameters } from '../../testing/random-networks.js';
import { RUNNING } from './rounding.js';
import { runningError } from './running-error.js';

/** A network, and where its data are: normalised ones have theirs at their means. */
interface Case {
  readonly net: Network;
  readonly mean: readonly number[];
}

/** An input of few features, far from zero in deviations, behind a normalisation; then wide layers. */
const tabular: fc.Arbitrary<Case> = fc
  .record({
    inputs: fc.integer({ min: 1, max: 4 }),
    width: fc.integer({ min: 2, max: 200 }),
    depth: fc.integer({ min: 1, max: 4 }),
    offset: fc.integer({ min: 0, max: 4 }),
    seed: fc.nat(),
  })
  .map(({ inputs, width, depth, offset, seed }) => {
    const mean = Array.from(normalNumbers(`means ${seed}`, inputs), (z) => z * 10 ** offset);
    const extents = (features: number): Extents => [features, 1, 1];
    const layers: Layer[] = [normalizeLayer(extents(inputs), { mean, std: mean.map(() => 1) })];
    for (let k = 0; k < depth; k++)
      layers.push(linearLayer(extents(k === 0 ? inputs : width), width), reluLayer(extents(width)));
    return { net: chain('tabular', extents(inputs), [...layers, linearLayer(extents(width), 2)]), mean };
  });
const others: fc.Arbitrary<Case> = fc
  .oneof(anyNetworks, importedNetworks)
  .map((net) => ({ net, mean: new Array<number>(featuresOf(net.input)).fill(0.5) }));

const executor = createExecutor();
afterAll(() => executor.close());

const three = [3, 1, 1] as const;
const four = [4, 1, 1] as const;
/** A normalisation, two linear layers, the sum of both (a residual block), and one more: [node, inputs]. */
const block = network('block', three, [
  { layer: normalizeLayer(three, { mean: [0.3, 0.6, 0.9], std: [0.5, 0.2, 0.4] }), inputs: [INPUT] },
  { layer: linearLayer(three, 4), inputs: [0] },
  { layer: reluLayer(four), inputs: [1] },
  { layer: linearLayer(four, 4), inputs: [2] },
  { layer: joinLayer(four), inputs: [2, 3] },
  { layer: reluLayer(four), inputs: [4] },
  { layer: linearLayer(four, 2), inputs: [5] },
]);
const single = (name: string, size: number) => Float32Array.from(normalNumbers(name, size));
const parametersOf = (seed: number) => ({
  ...{ '1.weight': single(`1 ${seed}`, 12), '1.bias': single(`1b ${seed}`, 4) },
  ...{ '3.weight': single(`3 ${seed}`, 16), '3.bias': single(`3b ${seed}`, 4) },
  ...{ '6.weight': single(`6 ${seed}`, 8), '6.bias': single(`6b ${seed}`, 2) },
});

/** e of the block as it is defined, in float64, and with errors that are independent at each layer. */
function definedErrors(weights: ReturnType<typeof parametersOf>, lower: Float32Array, upper: Float32Array) {
  type Affine = { readonly w: number[][]; readonly b: number[] };
  const rows = (flat: Float32Array, width: number): number[][] =>
    Array.from({ length: flat.length / width }, (_, j) => Array.from(flat.slice(j * width, (j + 1) * width)));
  const scale = [2, 5, 2.5];
  const normal: Affine = {
    w: scale.map((s, i) => scale.map((_, k) => (k === i ? s : 0))),
    b: [0.3, 0.6, 0.9].map((mean, i) => -mean * (scale[i] as number)),
  };
  const affine = (k: 1 | 3 | 6, width: number): Affine => ({
    w: rows(weights[`${k}.weight`], width),
    b: Array.from(weights[`${k}.bias`]),
  });
  const apply = (w: number[][], x: number[], f = (v: number) => v) =>
    w.map((row) => row.reduce((sum, v, i) => sum + f(v) * (x[i] as number), 0));
  const plus = (a: number[], b: number[]) => a.map((v, i) => v + (b[i] as number));
  const [first, second, third] = [affine(1, 3), affine(3, 4), affine(6, 4)];
  /** v, r² and m of what is read. */
  interface Read {
    readonly v: number[];
    readonly moved: number[];
    readonly size: number[];
  }
  const sized = (v: number[], moved: number[]): Read => ({
    v,
    moved,
    size: v.map((value, i) => Math.abs(value) + Math.sqrt(moved[i] as number)),
  });
  const terms = ({ w, b }: Affine, { size }: Read) => plus(apply(w, size, Math.abs), b.map(Math.abs));
  const through = ({ w, b }: Affine, { v, moved }: Read) =>
    sized(
      plus(apply(w, v), b),
      apply(w, moved, (x) => x * x),
    );
  const relu = ({ v, moved }: Read) =>
    sized(
      v.map((x) => Math.max(0, x)),
      moved,
    );
  const on = ({ v, moved }: Read) => v.map((x, i) => (x + Math.sqrt(moved[i] as number) > 0 ? 1 : 0));

  const ends = Array.from(lower, (l, i) => [l, upper[i] as number] as const);
  const start: Read = {
    v: ends.map(([l, u]) => (l + u) / 2),
    moved: ends.map(([l, u]) => ((u - l) / 2) ** 2),
    size: ends.map(([l, u]) => Math.max(Math.abs(l), Math.abs(u))),
  };
  const n0 = through(normal, start);
  const n1 = through(first, n0);
  const n2 = relu(n1);
  const n3 = through(second, n2);
  const n4 = sized(plus(n2.v, n3.v), plus(n2.moved, n3.moved));
  const n5 = relu(n4);
  const s = {
    ...{ 0: terms(normal, start), 1: terms(first, n0), 3: terms(second, n2) },
    ...{ 4: plus(n2.size, n3.size), 6: terms(third, n5) },
  };
  const squares = (x: number[]) => x.reduce((sum, v) => sum + v * v, 0);
  const byDerivatives = [0, 1].map((j) => {
    const at5 = (third.w[j] as number[]).map((v, i) => v * (on(n4)[i] as number));
    const back = (w: number[][], a: number[]) =>
      (w[0] as number[]).map((_, i) =>
        w.reduce((sum, row, k) => sum + (row[i] as number) * (a[k] as number), 0),
      );
    const at2 = plus(at5, back(second.w, at5));
    const at1 = at2.map((v, i) => v * (on(n1)[i] as number));
    const at0 = back(first.w, at1);
    const sum = [
      [at0, s[0]],
      [at1, s[1]],
      [at5, s[3]],
      [at5, s[4]],
    ] as const;
    return Math.sqrt(
      sum.reduce(
        (all, [a, of]) => all + squares(a.map((v, i) => v * (of[i] as number))),
        (s[6][j] as number) ** 2,
      ),
    );
  });
  const carried = (w: number[][], e: number[]) => apply(w, e, (v) => v * v);
  const own = (of: number[]) => of.map((v) => v * v);
  const e1 = plus(carried(first.w, own(s[0])), own(s[1]));
  const e4 = plus(plus(e1, own(s[4])), plus(carried(second.w, e1), own(s[3])));
  return { byDerivatives, byLayers: plus(carried(third.w, e4), own(s[6])).map(Math.sqrt) };
}

test.each([0, 0.01, 0.6])(
  'e is what it is defined as, by derivatives and layer by layer: radius %d',
  async (radius) => {
    const ends = (name: string) => input(name, [3, 1]);
    const box = { lower: ends('lower'), upper: ends('upper') };
    const parameters = parameterInputs(block);
    const values = forward(block, parameters, mul(add(box.lower, box.upper), 0.5));
    const outputs = {
      byDerivatives: runningError(block, parameters, box, values),
      // Four features of two outputs are eight.
      atMost: runningError(block, parameters, box, values, 8),
      byLayers: runningError(block, parameters, box, values, 7),
    };
    const plan = createPlan([{ kind: 'whole', outputs }]);
    for (const seed of [1, 2, 3, 4, 5]) {
      const centre = single(`centre ${seed}`, 3);
      const lower = centre.map((v, i) => v - radius * i);
      const upper = centre.map((v) => v + radius);
      const weights = parametersOf(seed);
      const found = (await executor.run(plan, { ...weights, lower, upper })).outputs as Record<
        string,
        Float32Array
      >;
      const defined = definedErrors(weights, lower, upper);
      for (const j of [0, 1]) {
        expect((found.byDerivatives?.[j] as number) / (defined.byDerivatives[j] as number)).toBeCloseTo(1, 4);
        expect(found.atMost?.[j]).toBe(found.byDerivatives?.[j]);
        expect((found.byLayers?.[j] as number) / (defined.byLayers[j] as number)).toBeCloseTo(1, 4);
      }
    }
  },
);

const SAMPLES = 64;
const UNIT = 2 ** -24;
type Numbers = Readonly<Record<string, ArrayLike<number>>>;

interface Scenario extends Case {
  readonly feeds: Numbers;
  readonly row: Float64Array;
}

const scenario = fc
  .tuple(fc.oneof(others, tabular), fc.nat(), fc.integer({ min: -5, max: 0 }), fc.boolean())
  .map(([{ net, mean }, seed, power, positive]): Scenario => {
    const features = featuresOf(net.input);
    const [z, radius] = [normalNumbers(`z ${seed}`, features), 10 ** power];
    const side = (sign: 1 | -1) =>
      Float32Array.from(z, (v, i) => (mean[i] as number) + 0.5 * v + sign * radius);
    const [lower, upper] = [side(-1), side(1)];
    const shares = uniformNumbers(`places ${seed}`, features * SAMPLES);
    // Corners, where the least of a small box is, and places between.
    const samples = Float32Array.from(shares, (share, k) => {
      const i = Math.floor(k / SAMPLES);
      const [low, high] = [lower[i] as number, upper[i] as number];
      return k % 4 < 3 ? (share < 0.5 ? low : high) : Math.min(high, low + share * (high - low));
    });
    // Weights of one sign carry shared errors to the outputs undiminished.
    const parameters = Object.entries(randomParameters(net, seed)).map(([name, values]) => [
      name,
      Float32Array.from(values, (w) => (positive ? Math.abs(w) : w)),
    ]);
    const row = Float64Array.from({ length: net.classes }, (_, j) => (j === 0 ? 1 : j === 1 ? -1 : 0));
    return { net, mean, feeds: { ...Object.fromEntries(parameters), lower, upper, samples }, row };
  });

/** Bounds of the row, its errors and its values, in one float type. */
async function computed({ net, feeds, row }: Scenario, dtype: FloatType): Promise<Record<string, number[]>> {
  const features = featuresOf(net.input);
  const parameters = parameterInputs(net, dtype);
  const box = { lower: input('lower', [features, 1], dtype), upper: input('upper', [features, 1], dtype) };
  const values = forward(net, parameters, mul(add(box.lower, box.upper), 0.5));
  const at = forward(net, parameters, input('samples', [features, SAMPLES], dtype));
  const coefficients = constant(row, [net.classes, 1, 1], dtype);
  const specification = { kind: 'rows', coefficients } as const;
  const bounds = (['ibp', 'crown'] as const).map((name) =>
    relaxations[name].bound({ network: net, parameters, box, specification }),
  );
  const outputs = {
    ibp: mul(bounds[0]?.margins as Tensor, 1),
    crown: mul(bounds[1]?.margins as Tensor, 1),
    y: mul(at.at(-1) as Tensor, 1),
    ...(dtype === 'float32' && { e: runningError(net, parameters, box, values) }),
  };
  const arrays = dtype === 'float32' ? Float32Array : Float64Array;
  const given = Object.fromEntries(Object.entries(feeds).map(([name, of]) => [name, arrays.from(of)]));
  const plan = createPlan([...bounds.flatMap(({ stages }) => stages), { kind: 'whole', outputs }]);
  const result = await executor.run(plan, given);
  return Object.fromEntries(
    Object.entries(result.outputs).map(([name, of]) => [name, Array.from(of, Number)]),
  );
}

/** c·y at each sample. */
const rowOf = ({ row }: Scenario, y: readonly number[]): number[] =>
  Array.from({ length: SAMPLES }, (_, k) =>
    row.reduce((sum, c, j) => sum + c * (y[j * SAMPLES + k] as number), 0),
  );

test('no float32 value or bound is off by as much as proofs leave room for, which is not much more', async () => {
  const worst = { value: 0, ibp: 0, crown: 0 };
  await fc.assert(
    fc.asyncProperty(scenario, async (of) => {
      const [single, double] = [await computed(of, 'float32'), await computed(of, 'float64')];
      const e = of.row.reduce((sum, c, j) => sum + Math.abs(c) * (single.e?.[j] as number), 0) * UNIT;
      const [seen, real] = [rowOf(of, single.y as number[]), rowOf(of, double.y as number[])];
      const share = (error: number, of: keyof typeof worst) => {
        worst[of] = Math.max(worst[of], error / e);
        expect(error).toBeLessThanOrEqual(RUNNING * e);
      };
      share(Math.max(...seen.map((y, k) => Math.abs(y - (real[k] as number)))), 'value');
      const least = Math.min(...real);
      for (const name of ['ibp', 'crown'] as const) share((single[name]?.[0] as number) - least, name);
    }),
    { numRuns: 120 },
  );
  console.info(`running error, in units of e: ${JSON.stringify(worst)}`);
  expect(worst.value).toBeGreaterThan(RUNNING / 8);
});
