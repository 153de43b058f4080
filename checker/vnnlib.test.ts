import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boxAsserts, declarations, formula, holds, print } from '../src/testing/vnnlib-text.js';
import { type Polytope, readVnnlib } from './vnnlib.js';

const [INPUTS, OUTPUTS] = [2, 2];
const halves = fc.integer({ min: -8, max: 8 }).map((v) => v / 2);
const points = fc.record({ x: fc.tuple(halves, halves), y: fc.tuple(halves, halves) });
type Point = typeof points extends fc.Arbitrary<infer T> ? T : never;

const inside = ({ lower, upper, rows }: Polytope, { x, y }: Point): boolean =>
  x.every((v, i) => (lower[i] as number) <= v && v <= (upper[i] as number)) &&
  rows.every(({ outputs, inputs, bound }) => {
    const terms = (pairs: readonly (readonly [number, number])[], of: readonly number[]) =>
      pairs.reduce((sum, [i, factor]) => sum + factor * (of[i] as number), 0);
    return terms(outputs, y) + terms(inputs, x) <= bound;
  });

test('what a file calls unsafe lies in a polytope, and points a half away from it do not', () => {
  let read = 0;
  fc.assert(
    fc.property(
      formula(INPUTS, OUTPUTS),
      fc.array(points, { minLength: 40, maxLength: 40 }),
      (unsafe, many) => {
        const text = `${declarations(INPUTS, OUTPUTS)}${boxAsserts(INPUTS, -4, 4)}(assert ${print(unsafe)})`;
        let polytopes: Polytope[];
        try {
          polytopes = readVnnlib(text, INPUTS, OUTPUTS);
        } catch (error) {
          expect((error as Error).message).toMatch(/^property: /);
          return;
        }
        read++;
        for (const point of many)
          expect(polytopes.some((one) => inside(one, point))).toBe(holds(unsafe, point));
      },
    ),
    { numRuns: 1000 },
  );
  expect(read).toBeGreaterThan(100);
});

const [box, declared] = [boxAsserts(1, 0, 1), declarations(1, 1)];

test('decimals are moved outwards: a tenth of the file is inside', () => {
  const [polytope] = readVnnlib(`${declared}${boxAsserts(1, 0.1, 0.3)}(assert (<= Y_0 0.7))`, 1, 1) as [
    Polytope,
  ];
  expect(polytope.lower[0]).toBeLessThan(0.1);
  expect(polytope.upper[0]).toBeGreaterThan(0.3);
  expect(polytope.rows[0]?.bound).toBeGreaterThan(0.7);
});

test.each([
  ['an input without bound', `${declared}(assert (<= Y_0 0))`, /no bound/],
  ['another number of variables', `${declarations(2, 1)}${box}(assert (<= Y_0 0))`, /expected X_0 to X_0/],
  ['a variable that is none', `${declared}${box}(assert (<= Y_1 0))`, /not one of the model/],
  ['a number that is none', `${declared}${box}(assert (<= Y_0 1.2.3))`, /expected a number/],
  ['constants that add up', `${declared}${box}(assert (<= (+ Y_0 0.1) 0.3))`, /stands twice/],
  ['a variable that stands twice', `${declared}${box}(assert (<= Y_0 (* 2 Y_0)))`, /stands twice/],
  ['a parenthesis too many', `${declared}${box}(assert (<= Y_0 0)))`, /parenthesis/],
  ['a parenthesis too few', `${declared}${box}(assert (<= Y_0 0)`, /parenthesis/],
  ['another command', `${declared}${box}(check-sat)`, /check-sat/],
])('%s is refused', (_, text, message) => {
  expect(() => readVnnlib(text, 1, 1)).toThrow(message);
});
