import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Polytope } from '../property/property.js';
import { confirm } from './counterexample.js';

const number = fc.double({ min: -10, max: 10, noNaN: true });
const scenario = fc
  .record({
    ends: fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 4 }),
    seed: fc.array(number, { minLength: 4, maxLength: 4 }),
    bound: number,
  })
  .map(({ ends, seed, bound }) => {
    const box = {
      lower: Float64Array.from(ends, (pair) => Math.min(...pair)),
      upper: Float64Array.from(ends, (pair) => Math.max(...pair)),
    };
    const polytope: Polytope = { box, unsafe: [{ outputs: Float64Array.of(1), bound }] };
    return { polytope, x: Float32Array.from(seed.slice(0, ends.length)), bound };
  });

test('a counterexample is in the box, and its outputs are what the model gives for the nearest float32', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ polytope, x, bound }) => {
      const seen: Float32Array[] = [];
      const sum = async (at: Float32Array) => {
        seen.push(at);
        return [at.reduce((a, b) => a + b, 0)];
      };
      const found = await confirm(polytope, 7, x, sum);
      const at = seen[0] as Float32Array;
      const y = at.reduce((a, b) => a + b, 0);
      expect(found !== undefined).toBe(y <= bound);
      if (found === undefined) return;
      expect(found.polytope).toBe(7);
      expect(found.output).toEqual(Float64Array.of(y));
      expect(Float32Array.from(found.input)).toEqual(at);
      found.input.forEach((v, i) => {
        expect(v).toBeGreaterThanOrEqual(polytope.box.lower[i] as number);
        expect(v).toBeLessThanOrEqual(polytope.box.upper[i] as number);
      });
    }),
  );
});

test.each([[[Number.NaN]], [[Number.NEGATIVE_INFINITY]]])('outputs %j confirm nothing', async (outputs) => {
  const polytope = {
    box: { lower: Float64Array.of(0), upper: Float64Array.of(1) },
    unsafe: [{ outputs: Float64Array.of(1), bound: 0 }],
  };
  expect(await confirm(polytope, 0, [0.5], async () => outputs)).toBe(undefined);
});

test('what is no number is no input', async () => {
  const polytope = { box: { lower: Float64Array.of(0), upper: Float64Array.of(1) }, unsafe: [] };
  expect(await confirm(polytope, 0, [Number.NaN], async () => [0])).toBe(undefined);
});

const at = (
  x: number,
  y: number,
  { strict = false, sign = 0 as 0 | 1 | -1, d = undefined as number | undefined },
) => {
  const unsafe = [
    { outputs: Float64Array.of(1), bound: 5 },
    { outputs: Float64Array.of(1), ...(d !== undefined && { inputs: Float64Array.of(d) }), bound: 1, strict },
  ];
  const strictInputs = sign === 0 ? undefined : [{ input: 0, sign, bound: 0.5 }];
  const polytope = { box: { lower: Float64Array.of(0), upper: Float64Array.of(1) }, unsafe, strictInputs };
  return confirm(polytope, 0, [x], async () => [y]).then((found) => found !== undefined);
};

test('equality confirms an inequality, and not a strict one; any one that is missed confirms nothing', async () => {
  expect(await at(0, 1, {})).toBe(true);
  expect(await at(0, 1, { strict: true })).toBe(false);
  expect(await at(0, 0.75, { strict: true })).toBe(true);
  expect(await at(0, 1.25, { strict: true })).toBe(false);
  expect(await at(0, 1.25, {})).toBe(false);
  // The input counts: y + d x ≤ 1.
  expect(await at(1, 1, { d: 0.25 })).toBe(false);
  expect(await at(1, 1, { d: -0.25, strict: true })).toBe(true);
});

test('a strict bound of an input is not met at its end', async () => {
  expect(await at(0.5, 0, { sign: 1 })).toBe(false);
  expect(await at(0.5, 0, { sign: -1 })).toBe(false);
  expect(await at(0.25, 0, { sign: 1 })).toBe(true);
  expect(await at(0.25, 0, { sign: -1 })).toBe(false);
  expect(await at(0.75, 0, { sign: -1 })).toBe(true);
  expect(await at(0.75, 0, { sign: 1 })).toBe(false);
});

test('all outputs must be numbers, and all inputs', async () => {
  const box = { lower: Float64Array.of(0, 0), upper: Float64Array.of(1, 1) };
  const polytope = { box, unsafe: [{ outputs: Float64Array.of(1, 0), bound: 0 }] };
  expect(await confirm(polytope, 0, [0, 0], async () => [0, Number.NaN])).toBe(undefined);
  expect(await confirm(polytope, 0, [0, Number.NaN], async () => [0, 0])).toBe(undefined);
  expect(await confirm(polytope, 0, [0, 9], async () => [0, 0])).toMatchObject({
    input: Float64Array.of(0, 1),
  });
});
