import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { add, constant, type FloatType, input, mul, type Tensor } from '../../graph/index.js';
import { type Extents, featuresOf, type Layer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { normalizeLayer } from '../../network/layers/normalize.js';
import { chain, forward, type Network, parameterInputs } from '../../network/network.js';
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
