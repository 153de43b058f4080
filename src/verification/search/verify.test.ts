import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain } from '../../network/network.js';
import { parameterLayout, views } from '../../network/parameters.js';
import { createPool } from '../../runtime/pool/pool.js';
import { keyOf, uniforms } from '../../runtime/random/keys.js';
import { randomNormals, runNetwork } from '../../testing/onnx-runs.js';
import type { Box, Inequality, Property } from '../property/property.js';
import { violation } from '../property/property.js';
import { type Verification, type VerifyOptions, verify } from './verify.js';

const pool = createPool(1);
afterAll(() => pool.close());

const box = (lower: readonly number[], upper: readonly number[]): Box => ({
  lower: Float64Array.from(lower),
  upper: Float64Array.from(upper),
});
const atMost = (outputs: readonly number[], bound: number, inputs?: readonly number[]): Inequality => ({
  outputs: Float64Array.from(outputs),
  ...(inputs && { inputs: Float64Array.from(inputs) }),
  bound,
});
const property = (inputs: number, outputs: number, ...polytopes: Property['polytopes']): Property => ({
  inputs,
  outputs,
  polytopes,
});

/** y = (relu(x₀ + x₁), relu(x₀ − x₁)). */
const small = chain('small', [2, 1, 1], [linearLayer([2, 1, 1], 2), reluLayer([2, 1, 1])]);
const smallParameters = { '0.weight': Float32Array.of(1, 1, 1, -1), '0.bias': Float32Array.of(0, 0) };
const square = box([-1, -1], [1, 1]);

const verifySmall = (of: Property, more: Partial<VerifyOptions> = {}): Promise<Verification> =>
  verify({ network: small, parameters: smallParameters, property: of, pool, ...more });

describe('a small network', () => {
  test('an output that cannot be reached is proved unreachable, by intervals if they do', async () => {
    const never = property(2, 2, { box: square, unsafe: [atMost([-1, 0], -2.5)] });
    expect(await verifySmall(never)).toMatchObject({
      verdict: 'unsat',
      stage: 'ibp',
      subproblems: 1,
      lowerBound: 0.5,
    });
  });

  test('what needs CROWN is proved by CROWN', async () => {
    // y₀ + y₁ = |x₀ + x₁|₊ + |x₀ − x₁|₊ ≤ 2, where intervals say 4.
    const sum = property(2, 2, { box: square, unsafe: [atMost([-1, -1], -3.5)] });
    expect(await verifySmall(sum)).toMatchObject({ verdict: 'unsat', stage: 'crown' });
  });

  test('an output that can be reached is given with the input that does', async () => {
    const reached = property(
      2,
      2,
      { box: square, unsafe: [atMost([-1, 0], -2.5)] },
      { box: square, unsafe: [atMost([-1, 0], -1.99), atMost([0, -1], 0)] },
    );
    const { verdict, stage, counterexample } = await verifySmall(reached);
    expect([verdict, stage, counterexample?.polytope]).toEqual(['sat', 'attack', 1]);
    const [x0, x1] = Array.from(counterexample?.input ?? []) as [number, number];
    expect(x0 + x1).toBeGreaterThanOrEqual(1.99 - 1e-6);
    expect(Array.from(counterexample?.output ?? [])).toEqual(
      await runNetwork(small, smallParameters, Float32Array.of(x0, x1), 1),
    );
  });

  test('an inequality over inputs and outputs together counts both', async () => {
    // y₀ = x₀ + x₁ here, so y₀ − x₀ − x₁ ≤ −0.1 is never fulfilled, and ≤ 0 always.
    const positive = box([0.5, 0.5], [1, 1]);
    const mixed = (bound: number) =>
      property(2, 2, { box: positive, unsafe: [atMost([1, 0], bound, [-1, -1])] });
    expect((await verifySmall(mixed(1e-3))).verdict).toBe('sat');
    expect((await verifySmall(mixed(-1.1))).verdict).toBe('unsat');
  });

  test('a polytope without inequalities is reached everywhere in its box', async () => {
    expect((await verifySmall(property(2, 2, { box: square, unsafe: [] }))).verdict).toBe('sat');
  });

  test('a box that is one point whose numbers are no float32 is decided by the nearest float32', async () => {
    const point = box([0.1, 0.2], [0.1, 0.2]);
    const { verdict, counterexample } = await verifySmall(
      property(2, 2, { box: point, unsafe: [atMost([-1, 0], -0.29)] }),
    );
    expect([verdict, Array.from(counterexample?.input ?? [])]).toEqual(['sat', [0.1, 0.2]]);
  });

  test('what the model itself does not confirm is not a counterexample', async () => {
    const reached = property(2, 2, { box: square, unsafe: [atMost([-1, 0], -1.5)] });
    const elsewhere = async () => [0, 0];
    expect((await verifySmall(reached, { evaluate: elsewhere, timeoutSeconds: 2 })).verdict).not.toBe('sat');
    const notANumber = async () => [Number.NaN, 0];
    expect((await verifySmall(reached, { evaluate: notANumber, timeoutSeconds: 2 })).verdict).not.toBe('sat');
  });

  test('a polytope that is proved takes no other with it, and a counterexample names its own', async () => {
    const proved = { box: square, unsafe: [atMost([-1, 0], -2.5)] };
    const reached = { box: square, unsafe: [atMost([-1, -1], -1.9)] };
    // A model that answers 0 until the search begins: what the attack before it finds is not confirmed.
    let searching = false;
    const evaluate = async (x: Float32Array) =>
      searching ? await runNetwork(small, smallParameters, x, 1) : [0, 0];
    for (const polytopes of [
      [proved, reached],
      [reached, proved],
      [proved, reached, proved],
    ]) {
      searching = false;
      const stages: string[] = [];
      const { verdict, counterexample } = await verifySmall(property(2, 2, ...polytopes), {
        evaluate,
        timeoutSeconds: 20,
        progress: ({ stage }) => {
          stages.push(stage);
          searching ||= stage === 'alpha-crown' || stage === 'branch-and-bound';
        },
      });
      expect([verdict, counterexample?.polytope]).toEqual(['sat', polytopes.indexOf(reached)]);
      expect(stages.slice(0, 4)).toEqual(['attack', 'ibp', 'ibp', 'crown']);
    }
    const never = await verifySmall(property(2, 2, proved, reached), {
      evaluate: async () => [0, 0],
      timeoutSeconds: 1,
    });
    expect(never).toMatchObject({ stage: null });
    expect(['timeout', 'unknown']).toContain(never.verdict);
  });

  test('a property of another size is refused', async () => {
    await expect(verifySmall(property(3, 2, { box: box([0, 0, 0], [1, 1, 1]), unsafe: [] }))).rejects.toThrow(
      "expected a property over the network's 2 inputs and 2 outputs, got one over 3 inputs and 2 outputs",
    );
  });

  test('an abort ends it with the reason of the signal, a timeout with that verdict', async () => {
    const open = property(2, 2, { box: square, unsafe: [atMost([-1, -1], -2.01)] });
    const reason = new Error('stopped');
    await expect(verifySmall(open, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect((await verifySmall(open, { timeoutSeconds: 1e-6 })).verdict).toBe('timeout');
  });
});

/** x → 3 ReLU layers of 8, 3 outputs; random weights. */
const deep = chain(
  'deep',
  [3, 1, 1],
  [
    linearLayer([3, 1, 1], 8),
    reluLayer([8, 1, 1]),
    linearLayer([8, 1, 1], 8),
    reluLayer([8, 1, 1]),
    linearLayer([8, 1, 1], 3),
  ],
);

test('verdicts on random networks agree with a thousand samples, and repeat with their seed', async () => {
  const scenario = fc.record({
    seed: fc.nat(),
    centre: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }),
    radius: fc.double({ min: 0, max: 0.3, noNaN: true }),
    bound: fc.double({ min: -1, max: 1, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ seed, centre, radius, bound }) => {
      const key = keyOf(seed);
      const numbers = randomNormals(key, 131, 0.7);
      const parameters = views(numbers, parameterLayout(deep));
      const around = box(
        centre.map((c) => c - radius),
        centre.map((c) => c + radius),
      );
      const polytope = {
        box: around,
        unsafe: [atMost([1, -1, 0], bound), atMost([1, 0, -1], bound + 0.2, [0, 0.1, 0])],
      };
      const of = property(3, 3, polytope);
      const options = { network: deep, parameters, property: of, pool, timeoutSeconds: 1, seed: 3 };
      const { verdict, counterexample } = await verify(options);
      if (counterexample) {
        expect(violation(polytope, counterexample.input, counterexample.output)).toBeLessThanOrEqual(0);
        expect(
          counterexample.input.every(
            (v, i) => v >= (around.lower[i] as number) && v <= (around.upper[i] as number),
          ),
        ).toBe(true);
        expect((await verify(options)).counterexample).toEqual(counterexample);
        return;
      }
      const draws = new Float32Array(3000);
      uniforms(key, draws);
      const samples = draws.map((u, i) => (around.lower[i % 3] as number) + u * 2 * radius);
      const outputs = await runNetwork(deep, parameters, samples, 1000);
      for (let row = 0; row < 1000 && verdict === 'unsat'; row++)
        expect(
          violation(polytope, samples.subarray(3 * row, 3 * row + 3), outputs.slice(3 * row, 3 * row + 3)),
        ).toBeGreaterThan(0);
    }),
    { numRuns: 8 },
  );
});
