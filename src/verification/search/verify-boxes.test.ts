import { afterAll, describe, expect, test } from 'vitest';
import { reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain } from '../../network/network.js';
import { createPool } from '../../runtime/pool/pool.js';
import type { Evaluate } from '../proof/counterexample.js';
import type { Box, Polytope } from '../property/property.js';
import { type NetworkOfBoxes, type VerifyBoxesOptions, verifyBoxes } from './verify-boxes.js';

const pool = createPool(1);
afterAll(() => pool.close());

/** y = |x|, the model itself and its two networks: of x ≥ 0, and of x ≤ 0. */
const model: Evaluate = async ([x]) => [Math.abs(x as number)];
const layers = [linearLayer([1, 1, 1], 1), reluLayer([1, 1, 1])];
const half = (sign: 1 | -1, polytopes: readonly number[], extended = (box: Box) => box): NetworkOfBoxes => ({
  polytopes,
  read: () => ({
    network: chain('half', [1, 1, 1], layers),
    parameters: { '0.weight': Float32Array.of(sign), '0.bias': Float32Array.of(0) },
    structure: 'half',
    extended,
  }),
});
/** y ≥ bound on the box. */
const above = (lower: number, upper: number, bound: number): Polytope => ({
  box: { lower: Float64Array.of(lower), upper: Float64Array.of(upper) },
  unsafe: [{ outputs: Float64Array.of(-1), bound: -bound }],
});
const decide = (
  polytopes: readonly Polytope[],
  networks: readonly NetworkOfBoxes[],
  more: Partial<VerifyBoxesOptions> = {},
) =>
  verifyBoxes({
    ...{ property: { inputs: 1, outputs: 1, polytopes }, networks, evaluate: model, pool },
    ...{ timeoutSeconds: 60, ...more },
  });

const [right, left] = [above(0, 1, 1.5), above(-1, 0, 1.5)];
/** Reached by the network at 0.5, which no model confirms. */
const reached = above(0.5, 0.5, 0.25);
const mute: Evaluate = async () => [Number.NaN];

describe('a model of several networks', () => {
  test('is proved where each is on its boxes', async () => {
    const { verdict, lowerBound } = await decide([right, left], [half(1, [0]), half(-1, [1])]);
    expect(verdict).toBe('unsat');
    expect(lowerBound ?? 0.5).toBeCloseTo(0.5, 5);
  });

  test('is refuted by an input of any of them, whose polytope is told by its own number', async () => {
    const polytopes = [right, above(-1, 0, 0.5)];
    const found = await decide(polytopes, [half(1, [0]), half(-1, [1])]);
    expect([found.verdict, found.counterexample?.polytope]).toEqual(['sat', 1]);
    expect(found.counterexample?.input[0]).toBeLessThanOrEqual(-0.5);
  });

  test('is not proved while one of them is open, whichever it is', async () => {
    for (const polytopes of [
      [reached, left],
      [left, reached],
    ]) {
      const networks = polytopes.map((polytope, k) => half(polytope === left ? -1 : 1, [k]));
      const { verdict } = await decide(polytopes, networks, { evaluate: mute, timeoutSeconds: 5 });
      expect(verdict).not.toBe('unsat');
      expect(verdict).not.toBe('sat');
    }
  }, 60_000);

  test('is not proved without time for all of them', async () => {
    const { verdict } = await decide([right, left], [half(1, [0]), half(-1, [1])], { timeoutSeconds: 0 });
    expect(verdict).toBe('timeout');
  });

  test('is not proved on polytopes that have no network, and refuted there by its own values', async () => {
    const networks = [half(1, [0])];
    const short = { timeoutSeconds: 3, without: 'none knows x ≤ 0' };
    expect(await decide([right, left], networks, short)).toMatchObject({
      verdict: 'unknown',
      reason: 'none knows x ≤ 0; the model was attacked alone',
    });
    const found = await decide([right, above(-1, 0, 0.5)], networks, short);
    expect([found.verdict, found.counterexample?.polytope]).toEqual(['sat', 1]);
  }, 60_000);

  test('is not proved where a box decides values that are no finite numbers', async () => {
    const endless = (box: Box) => ({ ...box, upper: Float64Array.of(Number.POSITIVE_INFINITY) });
    const answer = await decide([right, left], [half(1, [0], endless), half(-1, [1])]);
    expect(answer).toMatchObject({ verdict: 'unknown', reason: 'a box decides values that are not finite' });
  });
});
