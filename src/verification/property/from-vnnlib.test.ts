import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../formats/format-error.js';
import { parseVnnlib, readVnnlib } from '../../formats/vnnlib.js';
import {
  boxAsserts,
  declarations,
  formula,
  holds,
  type Point,
  print,
  spaces,
} from '../../testing/vnnlib-text.js';
import { MOST_POLYTOPES, propertyFor, propertyOf } from './from-vnnlib.js';
import { type Polytope, type Property, violation } from './property.js';

const propertyOfText = (text: string): Property => propertyOf(parseVnnlib(text, 'p.vnnlib'));
const contains = (polytope: Polytope, { x, y }: Point): boolean =>
  polytope.box.lower.every((l, i) => l <= (x[i] as number)) &&
  polytope.box.upper.every((u, i) => u >= (x[i] as number)) &&
  violation(polytope, x, y) <= 0;
const refusal = (text: string): string => {
  try {
    propertyOfText(text);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return (error as Error).message;
  }
  return 'accepted';
};

/** Inputs in the box and beyond it, outputs around zero; halves. */
const halves = fc.integer({ min: -6, max: 6 }).map((k) => k / 2);
const point = fc.record({ x: fc.tuple(halves, halves), y: fc.tuple(halves, halves) });

describe('a property from VNN-LIB', () => {
  it('is fulfilled by the points that fulfil the formula, however it is written', () => {
    fc.assert(
      fc.property(
        fc.array(formula(2, 2), { minLength: 1, maxLength: 4 }),
        spaces,
        fc.array(point, { minLength: 30, maxLength: 30 }),
        (formulas, space, points) => {
          const asserts = formulas.map((tree) => `(assert ${print(tree, space)})`).join('\n');
          const truth = (at: Point) =>
            at.x[0] !== undefined &&
            [0, 1].every((i) => Math.abs(at.x[i] as number) <= 2) &&
            formulas.every((tree) => holds(tree, at));
          const text = `${declarations(2, 2)}${asserts}\n${boxAsserts(2, -2, 2)}(assert (<= Y_0 100))`;
          let polytopes: readonly Polytope[] = [];
          try {
            polytopes = propertyOfText(text).polytopes;
          } catch (error) {
            expect((error as Error).message).toContain(
              'expected inputs that fulfil the constraints, got none',
            );
          }
          for (const at of points)
            expect(polytopes.some((polytope) => contains(polytope, at))).toBe(truth(at));
        },
      ),
      { numRuns: 400 },
    );
  });

  it('drops no case for the rounding of a quotient', () => {
    // As decimals x = 3 fulfils both; 0.3 / 0.1 in float64 is below 3.
    const text = `${declarations(1, 1)}(assert (<= (* 0.1 X_0) 0.3))(assert (>= X_0 3))(assert (<= Y_0 0))`;
    const { polytopes } = propertyOfText(text);
    const { box, unsafe } = polytopes[0] as Polytope;
    expect([box.lower[0], (box.upper[0] as number) >= 3, (box.upper[0] as number) < 3 + 1e-12]).toEqual([
      3,
      true,
      true,
    ]);
    expect(unsafe.map(({ inputs, bound }) => [Array.from(inputs ?? []), bound])).toEqual([
      [[0.1], 0.3],
      [[], 0],
    ]);
    fc.assert(
      fc.property(
        fc.integer({ min: -999, max: 999 }),
        fc.integer({ min: 1, max: 99 }),
        fc.boolean(),
        (k, d, below) => {
          // c x ≤ c k/7 and x ≥ k/7, as fractions, or the other way about.
          const [bound, own] = below ? ['<=', '>='] : ['>=', '<='];
          const asserts = `(assert (${bound} (* (/ ${d} 10) X_0) (/ (* ${d} ${k}) 70)))(assert (${own} X_0 (/ ${k} 7)))`;
          expect(
            propertyOfText(
              `${declarations(1, 1)}${asserts}(assert (<= -999 X_0))(assert (<= X_0 999))(assert (<= Y_0 0))`,
            ).polytopes.length,
          ).toBe(1);
        },
      ),
    );
  });

  it('makes bounds of the box of constraints of one input, and rows of all others', () => {
    const text = `${declarations(2, 1)}(assert (<= -1 (* 4 X_0)))(assert (= X_1 3))(assert (<= (+ X_0 X_1) 8))(assert (<= X_0 7))(assert (>= (- Y_0 X_0) 2))`;
    const { polytopes } = propertyOfText(text);
    expect(polytopes).toEqual([
      {
        box: { lower: Float64Array.of(-0.25, 3), upper: Float64Array.of(7, 3) },
        unsafe: [
          { outputs: Float64Array.of(0), inputs: Float64Array.of(1, 1), bound: 8 },
          { outputs: Float64Array.of(-1), inputs: Float64Array.of(1, 0), bound: -2 },
        ],
      },
    ]);
  });

  it('keeps what is strict: rows, and bounds of inputs with the side that they are on', () => {
    const text = `${declarations(2, 1)}${boxAsserts(2, -9, 9)}(assert (< X_0 1))(assert (> X_1 2))(assert (> Y_0 3))(assert (<= Y_0 4))`;
    const [{ unsafe, strictInputs } = {}] = propertyOfText(text).polytopes;
    expect(strictInputs).toStrictEqual([
      { input: 0, sign: 1, bound: 1 },
      { input: 1, sign: -1, bound: 2 },
    ]);
    expect(unsafe).toStrictEqual([
      { outputs: Float64Array.of(-1), bound: -3, strict: true },
      { outputs: Float64Array.of(1), bound: 4 },
    ]);
  });

  it('leaves out contradictory boxes', () => {
    const boxes =
      '(assert (or (and (<= X_0 0) (<= Y_0 1)) (and (>= X_0 2) (<= Y_0 2)) (and (>= X_0 1) (<= Y_0 3)) (and (<= 2 1) (<= Y_0 4))))';
    const { polytopes } = propertyOfText(`${declarations(1, 1)}${boxes}${boxAsserts(1, 0.5, 1)}`);
    expect(polytopes.map(({ unsafe }) => unsafe[0]?.bound)).toEqual([3]);
    expect(polytopes[0]?.box).toEqual({ lower: Float64Array.of(1), upper: Float64Array.of(1) });
  });

  it('keeps cases whose constants are equal, and leaves out those that are not in order', () => {
    const cases = ['<= 1 1', '>= 1 1', '= 1 1', '<= 1 2', '<= 2 1', '>= 1 2', '= 1 2'].map(
      (comparison, k) => `(and (${comparison}) (<= Y_0 ${k}))`,
    );
    const { polytopes } = propertyOfText(
      `${declarations(1, 1)}${boxAsserts(1, 0, 1)}(assert (or ${cases.join(' ')}))`,
    );
    expect(polytopes.map(({ unsafe }) => unsafe[0]?.bound)).toEqual([0, 1, 2, 3]);
    // An end that both bounds share is one point.
    const point = `${declarations(1, 1)}(assert (<= X_0 0.1))(assert (>= X_0 0.1))(assert (<= Y_0 0))`;
    expect(propertyOfText(point).polytopes[0]?.box).toEqual({
      lower: Float64Array.of(0.1),
      upper: Float64Array.of(0.1),
    });
  });

  it('holds one copy of equal boxes and equal rows, wherever they are written', () => {
    const box = (low: number) => `(>= X_0 ${low}) (<= X_1 ${low + 1})`;
    const swapped = (low: number) => `(<= X_1 ${low + 1}) (>= X_0 ${low}.0)`;
    const split = `(assert (or (and ${box(0)} (<= Y_0 1)) (and ${box(1)} (<= Y_0 1)) (and ${swapped(0)} (<= Y_0 2)) (and ${swapped(1)} (>= Y_0 2))))`;
    const { polytopes } = propertyOfText(
      `${declarations(2, 1)}${boxAsserts(2, -5, 5)}${split}(assert (or (<= Y_0 7) (<= Y_0 8)))`,
    );
    expect(polytopes).toHaveLength(8);
    expect(new Set(polytopes.map((polytope) => polytope.box)).size).toBe(2);
    expect(new Set(polytopes.flatMap((polytope) => polytope.unsafe)).size).toBe(5);
    expect(polytopes[0]?.box).toBe(polytopes[5]?.box);
  });

  it('takes the box of the first polytope for no other: bounds of one alternative do not leak into the next', () => {
    const { polytopes } = propertyOfText(
      `${declarations(2, 1)}${boxAsserts(2, -9, 9)}(assert (or (and (>= X_0 1) (<= Y_0 0)) (and (>= X_1 3) (<= Y_0 0)) (<= Y_0 -1)))`,
    );
    expect(polytopes.map(({ box }) => [...box.lower])).toEqual([
      [1, -9],
      [-9, 3],
      [-9, -9],
    ]);
  });

  it('is not large where thousands of alternatives share the box of an image', () => {
    const rows = Array.from({ length: 20_000 }, (_, k) => `(and (<= Y_0 ${k}) (>= X_${k % 3} 0.5))`).join(
      '\n',
    );
    const { polytopes } = propertyOfText(
      `${declarations(3072, 1)}${boxAsserts(3072, 0, 1)}(assert (or ${rows}))`,
    );
    expect(polytopes).toHaveLength(20_000);
    expect(new Set(polytopes.map(({ box }) => box)).size).toBe(3);
  });

  it.each([
    [
      'an unbounded input',
      '(assert (>= X_0 1))(assert (<= X_1 1))(assert (>= X_1 0))(assert (<= Y_0 0))',
      'got no upper bound of X_0; add (assert (<= X_0 …))',
    ],
    [
      'an input unbounded in one alternative',
      `${boxAsserts(1, 0, 1)}(assert (or (<= Y_0 0) (= X_1 1)))`,
      'got no lower bound of X_1; add (assert (>= X_1 …))',
    ],
    [
      'lower > upper',
      `${boxAsserts(2, 2, 1)}(assert (<= Y_0 0))`,
      'expected inputs that fulfil the constraints, got none: 2 ≤ X_0 ≤ 1',
    ],
    [
      'lower > upper in all alternatives',
      `${boxAsserts(2, 0, 1)}(assert (or (>= X_0 3) (<= X_1 -1)))(assert (<= Y_0 0))`,
      'got none: 3 ≤ X_0 ≤ 1',
    ],
    [
      'a bound beyond float64',
      `${boxAsserts(2, 0, 1)}(assert (<= (* 1e-300 X_0) -1e300))(assert (<= Y_0 0))`,
      'got none: 0 ≤ X_0 ≤ -Infinity',
    ],
    [
      'false constants',
      `${boxAsserts(2, 0, 1)}(assert (<= 1 0))(assert (<= Y_0 0))`,
      'got none: a comparison of constants that is false',
    ],
    [
      'no constraint on outputs',
      boxAsserts(2, 0, 1),
      'expected a constraint on an output in some assert, got constraints of inputs alone',
    ],
  ])('refuses %s in one line', (_, text, message) => {
    expect(refusal(declarations(2, 1) + text)).toContain(message);
    expect(refusal(declarations(2, 1) + text)).toMatch(/^p\.vnnlib: [^\n]*$/);
  });

  it('refuses an explosion before it takes memory, and accepts what stays small', () => {
    const choice = '(assert (or (<= Y_0 0) (<= Y_1 0)))';
    const box = declarations(1, 2) + boxAsserts(1, 0, 1);
    expect(propertyOfText(box + choice.repeat(10)).polytopes).toHaveLength(1024);
    expect(refusal(box + choice.repeat(40))).toContain(`expected at most ${MOST_POLYTOPES} polytopes`);
    expect(refusal(`${box}(assert (or ${'(<= Y_0 0) '.repeat(MOST_POLYTOPES + 1)}))`)).toContain(
      'after distributing and over or, got more',
    );
    // Each alternative is a box of its own, of a thousand inputs: 2¹⁷ of them would be a gigabyte.
    const splits = Array.from({ length: 17 }, (_, i) => `(assert (or (<= X_${i} 0.5) (>= X_${i} 0.5)))`).join(
      '',
    );
    expect(
      refusal(`${declarations(1000, 1)}${boxAsserts(1000, 0, 1)}(assert (<= Y_0 0))${splits}`),
    ).toContain('half a gigabyte');
  });

  it('names the sizes of both when it is not about the network', () => {
    const vnnlib = parseVnnlib(`${declarations(2, 3)}${boxAsserts(2, 0, 1)}(assert (<= Y_0 0))`, 'p.vnnlib');
    expect(propertyFor(vnnlib, { inputs: 2, outputs: 3 })).toEqual(propertyOf(vnnlib));
    expect(() => propertyFor(vnnlib, { inputs: 784, outputs: 10 })).toThrow(
      "p.vnnlib: expected a property of the network's 784 inputs and 10 outputs, got one of 2 inputs and 3 outputs",
    );
    for (const sizes of [
      { inputs: 2, outputs: 10 },
      { inputs: 784, outputs: 3 },
    ])
      expect(() => propertyFor(vnnlib, sizes)).toThrow('check that both belong together');
  });

  const shared = fileURLToPath(new URL('../../../../shared/vnncomp2022/', import.meta.url));
  describe.skipIf(!existsSync(shared))('of the competition', () => {
    const read = async (path: string) => propertyOf(await readVnnlib(join(shared, path)));

    it('acasxu: one box; the unsafe set is an intersection', async () => {
      const [first, ...others] = (await read('acasxu/prop_1.vnnlib')).polytopes;
      expect(others).toEqual([]);
      expect([...(first?.box.lower ?? [])]).toEqual([0.6, -0.5, -0.5, 0.45, -0.5]);
      expect([...(first?.box.upper ?? [])]).toEqual([0.679857769, 0.5, 0.5, 0.5, -0.45]);
      expect(first?.unsafe).toEqual([
        { outputs: Float64Array.of(-1, 0, 0, 0, 0), bound: -3.991125645861615 },
      ]);
      const [minimal] = (await read('acasxu/prop_3.vnnlib')).polytopes;
      expect(minimal?.unsafe.map(({ outputs, bound }) => [...outputs, bound])).toEqual(
        [1, 2, 3, 4].map((j) => [1, ...[1, 2, 3, 4].map((k) => (k === j ? -1 : 0)), 0]),
      );
    });

    it('mnist_fc and oval21: nine classes over one box', async () => {
      for (const [path, inputs, label] of [
        ['mnist_fc/prop_0_0.03.vnnlib', 784, 4],
        ['oval21/cifar_base_kw-img876-eps0.024836601307189544.vnnlib', 3072, 4],
      ] as const) {
        const property = await read(path);
        expect(property).toMatchObject({ inputs, outputs: 10 });
        expect(new Set(property.polytopes.map(({ box }) => box)).size).toBe(1);
        const rivals = Array.from({ length: 10 }, (_, j) => j).filter((j) => j !== label);
        expect(
          property.polytopes.map(({ unsafe }) =>
            unsafe.map(({ outputs, bound }) => [outputs[label], outputs.indexOf(-1), bound]),
          ),
        ).toEqual(rivals.map((j) => [[1, j, 0]]));
      }
      const { polytopes } = await read('oval21/cifar_base_kw-img876-eps0.024836601307189544.vnnlib');
      expect([polytopes[0]?.box.lower[3070], polytopes[0]?.box.upper[3071]]).toEqual([
        -0.7122148871421814, -0.3694407343864441,
      ]);
    });

    it('rl_benchmarks: the wrong command is preferred', async () => {
      const [polytope] = (await read('rl_benchmarks/cartpole_case_unsafe_0.vnnlib')).polytopes;
      expect(polytope?.box.lower[3]).toBe(-1.6417829458514566);
      expect(polytope?.unsafe).toEqual([{ outputs: Float64Array.of(1, -1), bound: 0 }]);
    });
  });
});
