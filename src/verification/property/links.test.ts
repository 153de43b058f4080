import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseVnnlib, type VnnlibProperty } from '../../formats/vnnlib.js';
import { atMost, dyadic, plus } from '../../testing/dyadic.js';
import { linkedPropertyOf } from './from-vnnlib.js';
import { assignmentOf, linked, linksOf } from './links.js';

const f = '(declare-network f (declare-input X real [2])(declare-output Y real [2]))';
const g = '(declare-network g (declare-input U real [2])(declare-output V real [2]))';
const query = (asserts: string): VnnlibProperty =>
  parseVnnlib(`(vnnlib-version <2.0>)${f}${g}${asserts}`, 'q.vnnlib');
const of = (asserts: string) => Array.from(linksOf(query(asserts)).of);
const box = ['X[0]', 'X[1]', 'U[0]', 'U[1]'].map((x) => `(assert (and (<= -1 ${x}) (<= ${x} 1)))`).join('');

describe('variables that are one', () => {
  test.each([
    ['(assert (== X[0] U[0]))', [0, 1, 0, 2]],
    ['(assert (and (<= Y[0] 1) (== U[0] X[1]) (== X[0] X[1])))', [0, 0, 0, 1]],
    ['(assert (<= X[0] U[0]))(assert (>= X[0] U[0]))', [0, 1, 0, 2]],
    ['(assert (== (* 2 X[0]) (* 2 U[0])))', [0, 1, 0, 2]],
    // Outputs, also by way of another input.
    ['(assert (== U[0] Y[1]))', [0, 1, -2, 2]],
    ['(assert (== Y[0] U[0]))(assert (== U[0] U[1]))', [0, 1, -1, -1]],
    // Two outputs are not one variable, and a second output of an input stays an assertion.
    ['(assert (== Y[0] V[0]))', [0, 1, 2, 3]],
    ['(assert (== U[0] Y[0]))(assert (== U[0] Y[1]))', [0, 1, -1, 2]],
  ])('%s', (asserts, expected) => {
    expect(of(asserts)).toEqual(expected);
  });

  test.each([
    '(assert (< X[0] U[0]))(assert (>= X[0] U[0]))',
    '(assert (<= X[0] U[0]))',
    '(assert (== X[0] (+ U[0] 1)))',
    '(assert (== X[0] (- U[0])))',
    '(assert (or (== X[0] U[0]) (<= Y[0] 1)))',
    '(assert (!= X[0] U[0]))',
    // A network cannot wait for itself.
    '(assert (== X[0] Y[0]))',
  ])('are not made by %s', (asserts) => {
    expect(of(asserts)).toEqual([0, 1, 2, 3]);
  });

  test('networks run after those whose outputs they read, and never wait for each other', () => {
    const links = linksOf(query('(assert (== X[0] V[0]))(assert (== U[0] Y[0]))'));
    expect([Array.from(links.of), links.order]).toEqual([
      [-3, 0, 1, 2],
      [1, 0],
    ]);
    // By way of an input that both have.
    expect(of('(assert (== X[0] U[0]))(assert (== U[0] Y[0]))')).toEqual([0, 1, 0, 2]);
  });

  test('are found among a million assertions, and however deep they lie', () => {
    const property = query('(assert (== X[0] U[0]))');
    const bound = { variables: [0], coefficients: [1], bound: 1 };
    let deep = property.constraint;
    for (let k = 0; k < 10 ** 5; k++) deep = { and: [deep] };
    const constraint = { and: [...Array.from({ length: 10 ** 6 }, () => bound), deep] };
    expect(Array.from(linksOf({ ...property, constraint }).of)).toEqual([0, 1, 0, 2]);
  });

  test('leave their equality out of the polytopes, whose boxes are of the free inputs', () => {
    const property = query(
      `${box}(assert (== X[0] U[0]))(assert (== U[1] Y[0]))(assert (<= (+ X[0] U[0] U[1]) 0))`,
    );
    const { polytopes, inputs } = linkedPropertyOf(property, linksOf(property));
    expect(inputs).toBe(2);
    // The bounds of U[1] are of Y[0], X[0] + U[0] + U[1] is 2 X[0] + Y[0].
    const rows = polytopes[0]?.unsafe.map(({ outputs, inputs: d, bound }) => [
      Array.from(d ?? [0, 0]),
      Array.from(outputs),
      bound,
    ]);
    expect(rows).toEqual([
      [[0, 0], [-1, 0, 0, 0], 1],
      [[0, 0], [1, 0, 0, 0], 1],
      [[2, 0], [1, 0, 0, 0], 0],
    ]);
  });

  test('have sums of coefficients that float64 holds, or none', () => {
    const links = linksOf(query('(assert (== X[0] U[0]))'));
    const sum = (a: number, b: number) =>
      linked(links, { variables: [0, 2], coefficients: [a, b], bound: 1 });
    expect(sum(1, -1)).toEqual({ variables: [], coefficients: [], bound: 1 });
    expect(sum(0.5, 0.25)).toEqual({ variables: [0], coefficients: [0.75], bound: 1 });
    expect(sum(0.1, 0.2)).toBeUndefined();
    const odd = query(`${box}(assert (== X[0] U[0]))(assert (<= (+ (* 0.1 X[0]) (* 0.2 U[0]) Y[0]) 0))`);
    expect(() => linkedPropertyOf(odd, linksOf(odd))).toThrow(
      'expected coefficients whose sum float64 holds',
    );
    const factor = fc.oneof(
      fc.double({ min: -1e3, max: 1e3, noNaN: true }),
      fc.integer({ min: -99, max: 99 }).map((k) => k / 8),
      fc.integer({ min: 45, max: 60 }).map((k) => 2 ** k + 1),
    );
    fc.assert(
      fc.property(factor, factor, (a, b) => {
        const [exact, rounded] = [plus(dyadic(a), dyadic(b)), dyadic(a + b)];
        const held = atMost(exact, rounded) && atMost(rounded, exact);
        const expected = a + b === 0 ? [] : [a + b];
        expect(sum(a, b)?.coefficients).toEqual(held ? expected : undefined);
      }),
      { numRuns: 500 },
    );
  });

  test('bounds that follow in one case of an or are not those of another', () => {
    const cases = ['(<= U[0] X[0])', '(<= U[0] (+ X[0] 2))'].map((one) => `(and ${one} (>= Y[0] 0))`);
    const rest = box.replace('(<= U[0] 1)', '(<= -1 U[0])');
    const property = query(`${rest}(assert (or ${cases.join('')}))`);
    const { polytopes } = linkedPropertyOf(property, linksOf(property));
    expect(polytopes.map(({ box: { upper } }) => Math.round(upper[2] as number))).toEqual([1, 3]);
  });

  test('have one value in an assignment', () => {
    const property = query('(assert (== X[0] U[0]))(assert (== U[1] Y[0]))');
    const links = linksOf(property);
    const tensors = assignmentOf(property.networks ?? [], links, [7, 8], [1, 2, 3, 4]);
    expect(tensors.map(({ name, values }) => [name, Array.from(values)])).toEqual([
      ['X', [7, 8]],
      ['Y', [1, 2]],
      ['U', [7, 1]],
      ['V', [3, 4]],
    ]);
  });
});
