import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Exact, exactFloat, isNegative, productOf, sumOf } from '../../formats/vnnlib/exact.js';
import { input, mul } from '../../graph/index.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { normalNumbers, uniformNumbers } from '../../testing/numbers.js';
import { onnxOracle } from '../../testing/onnx-oracle.js';
import { boxOfSets, setNetwork, setRecipes } from '../../testing/set-networks.js';
import { featuresOf } from '../layers/layer.js';
import { INPUT, logits, parameterInputs } from '../network.js';
import type { Draft } from './draft.js';
import { enclosures } from './enclosure.js';
import { type ImportedNetwork, importModel } from './import.js';

/** The network's outputs at x, in float64. */
async function outputsAt(
  { network: net, parameters, exact }: ImportedNetwork,
  x: Float64Array,
): Promise<number> {
  const values = logits(net, parameterInputs(net, 'float64'), input('x', [x.length, 1], 'float64'));
  const feeds = Object.fromEntries(
    Object.entries(parameters).map(([name, array]) => [name, exact[name] ?? Float64Array.from(array)]),
  );
  const executor = createExecutor();
  try {
    const plan = createPlan([{ kind: 'whole', outputs: { y: mul(values, 1) } }]);
    return (await executor.run(plan, { ...feeds, x })).outputs.y?.[0] as number;
  } finally {
    await executor.close();
  }
}

test('the network of a box is the file everywhere in it, whichever end of what is decided is taken', async () => {
  await fc.assert(
    fc.asyncProperty(setRecipes, async (recipe) => {
      const model = setNetwork(recipe.shape);
      const { lower, upper } = boxOfSets(recipe, 0);
      const numbers = lower.map((low, i) => (low === upper[i] ? low : Number.NaN));
      const read = importModel(model, 'sets', { fixed: { numbers, single: true, used: new Set() } });
      const box = read.ofBoxes?.extended({ lower, upper });
      expect(box?.lower.length).toBe(featuresOf(read.network.input));
      const oracle = onnxOracle(model);
      for (let point = 0; point < 3; point++) {
        const shares = uniformNumbers(`point ${recipe.shape.seed} ${point}`, lower.length);
        const x = lower.map((low, i) => low + (shares[i] as number) * ((upper[i] as number) - low));
        const whole = Float64Array.from((point === 1 ? box?.upper : box?.lower) ?? []);
        whole.set(x);
        const { values, errors } = oracle(x);
        const got = await outputsAt(read, whole);
        expect(Math.abs(got - (values[0] as number))).toBeLessThanOrEqual(4 * (errors[0] as number) + 1e-12);
      }
    }),
    { numRuns: 40 },
  );
}, 60_000);

test('enclosures hold the exact values of sums that cancel', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 30 }), fc.integer({ min: -20, max: 20 }), (seed, exponent) => {
      const numbers = (name: string, count: number) => normalNumbers(`${name} ${seed}`, count);
      const linear = (k: number, from: number, inputs: number, outputs: number, weight: Float64Array) =>
        ({
          kind: 'linear',
          inputs: [from],
          input: [inputs, 1, 1],
          output: [outputs, 1, 1],
          weight,
          bias: numbers(`b${k}`, outputs),
        }) as const;
      const first = numbers('w0', 12).map((w) => w * 10 ** exponent);
      // Rows 2 and 3 are rows 0 and 1 but for rounding; the second layer takes their differences.
      first.forEach((w, i) => {
        if (i < 6) first[i + 6] = w * (1 + 2 ** -50);
      });
      const second = Float64Array.of(1, 0, -1, 0, 0, 1e6, 0, -1e6);
      const draft: Draft = [
        linear(0, INPUT, 3, 4, first),
        { kind: 'relu', inputs: [0], output: [4, 1, 1] },
        linear(1, 1, 4, 2, second),
      ];
      const x = numbers('x', 3);
      const { values, errors } = enclosures(draft, [2], { values: x, errors: new Float64Array(3) })[0] as {
        values: Float64Array;
        errors: Float64Array;
      };
      const affine = (node: number, given: readonly Exact[]): Exact[] => {
        const { weight, bias } = draft[node] as { weight: Float64Array; bias: Float64Array };
        return Array.from(bias, (b, i) =>
          given.reduce<Exact>(
            (sum, value, k) =>
              sumOf(sum, productOf(exactFloat(weight[i * given.length + k] as number), value)),
            exactFloat(b),
          ),
        );
      };
      const hidden = affine(0, Array.from(x, exactFloat)).map((h) => (isNegative(h) ? 0 : h));
      affine(2, hidden).forEach((exact, i) => {
        const [v, e] = [values[i] as number, errors[i] as number];
        // v − e ≤ exact ≤ v + e, without rounding.
        expect(isNegative(sumOf(exact, sumOf(exactFloat(-v), exactFloat(e))))).toBe(false);
        expect(isNegative(sumOf(sumOf(exactFloat(v), exactFloat(e)), productOf(-1, exact)))).toBe(false);
      });
    }),
    { numRuns: 200 },
  );
});

test('numbers that float32 does not hold make no factors of a float32 file', () => {
  const shape = { sets: [{ rows: 2, features: 1 }], hidden: 2, dual: false, seed: 1 };
  const model = setNetwork(shape);
  // [feature, mask] of two rows; the features vary.
  const of = (mask: number) => ({
    numbers: [Number.NaN, mask, Number.NaN, 1],
    single: true,
    used: new Set<number>(),
  });
  expect([...readUsed(of(0.5))]).toEqual([1, 3]);
  expect(() => readUsed(of(0.1))).toThrow(/Mul .*: expected a constant operand/);
  function readUsed(fixed: ReturnType<typeof of>): Set<number> {
    importModel(model, 'sets', { fixed });
    return fixed.used;
  }
});
