import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeOnnx, type OnnxModel, type OnnxTensor } from '../../formats/onnx.js';
import { latticeModel, randomLattice } from '../../testing/lattice-networks.js';
import { normalNumbers } from '../../testing/numbers.js';
import { model, op } from '../../testing/onnx-models.js';
import { atMost, minusOf, ofFloat, plusOf, type Rational, sizeOf, timesOf } from '../../testing/rationals.js';
import { INPUT, type NetworkNode } from '../network.js';
import { importOnnx } from './import.js';

const ZERO = ofFloat(0);
const larger = (a: Rational, b: Rational) => (atMost(a, b) ? b : a);
const smaller = (a: Rational, b: Rational) => (atMost(a, b) ? a : b);
const relu = (a: Rational) => larger(a, ZERO);
const dot = (a: readonly Rational[], b: readonly Rational[]) =>
  a.reduce((sum, value, i) => plusOf(sum, timesOf(value, b[i] as Rational)), ZERO);

const read = (of: OnnxModel, distinct: boolean) => importOnnx(encodeOnnx(of), 'built', { distinct });
type Read = ReturnType<typeof read>;

/** The exact outputs of an imported network of linear layers, ReLUs and sums. */
function outputsOf({ network, parameters, exact }: Read, x: readonly Rational[]): readonly Rational[] {
  const values: (readonly Rational[])[] = [];
  network.nodes.forEach(({ layer, inputs }: NetworkNode, k) => {
    const from = inputs.map((node) => (node === INPUT ? x : (values[node] as readonly Rational[])));
    const [first] = from as [readonly Rational[]];
    if (layer.kind === 'relu') values.push(first.map(relu));
    else if (layer.kind === 'join')
      values.push(first.map((_, i) => from.map((of) => of[i] as Rational).reduce(plusOf)));
    else {
      const of = (name: string) =>
        Array.from(exact[`${k}.${name}`] ?? (parameters[`${k}.${name}`] as Float32Array), ofFloat);
      const [weight, bias] = [of('weight'), of('bias')];
      const row = (i: number) => weight.slice(i * first.length, (i + 1) * first.length);
      values.push(bias.map((b, i) => plusOf(dot(row(i), first), b)));
    }
  });
  return values.at(-1) as readonly Rational[];
}

const neurons = ({ network }: Read): number =>
  network.nodes.reduce((sum, { layer }) => sum + (layer.kind === 'relu' ? layer.output[0] : 0), 0);

/** |a − b| in units of 2⁻⁴⁰ of b's size, or of 1 where b is smaller. */
function difference(a: Rational, b: Rational): number {
  const { numerator, denominator } = minusOf(a, b);
  const size = larger(sizeOf(b), ofFloat(1));
  const share = {
    numerator: sizeOf({ numerator, denominator }).numerator * size.denominator,
    denominator: denominator * size.numerator,
  };
  return Number((share.numerator * 2n ** 80n) / share.denominator) / 2 ** 40;
}

/** Rows that repeat some base rows: which one, and its sign; 0 for a row of zeros. */
interface Twins {
  readonly base: readonly number[];
  readonly signs: readonly (1 | -1 | 0)[];
  /** What is added to their biases. */
  readonly shifts: readonly number[];
}
interface Recipe {
  readonly seed: number;
  readonly inputs: number;
  readonly hidden: readonly Twins[];
  readonly outputs: number;
  readonly double: boolean;
}
const twins = fc.integer({ min: 1, max: 6 }).chain((width) =>
  fc.record({
    base: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: width, maxLength: width }),
    signs: fc.array(fc.constantFrom<1 | -1 | 0>(1, -1, 1, -1, 0), { minLength: width, maxLength: width }),
    shifts: fc.array(fc.constantFrom(0, 0, 0, 0, 0, 0.5), { minLength: width, maxLength: width }),
  }),
);
const recipes: fc.Arbitrary<Recipe> = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 30 }),
  inputs: fc.integer({ min: 1, max: 4 }),
  hidden: fc.array(twins, { minLength: 1, maxLength: 4 }),
  outputs: fc.integer({ min: 1, max: 3 }),
  double: fc.boolean(),
});

/** Weights [rows][inputs] and biases of each layer. */
function layersOf({ seed, inputs, hidden, outputs, double }: Recipe) {
  const held = double ? (v: number) => v : Math.fround;
  let width = inputs;
  const drawn = (name: string, count: number) =>
    Array.from(normalNumbers(`twins ${seed} ${name}`, count), held);
  const layers = hidden.map(({ base, signs, shifts }, layer) => {
    const of = (k: number) => drawn(`${layer} ${base[k]}`, width + 1);
    const rows = signs.map((sign, k) => of(k).map((v, i) => (sign === 0 && i < width ? 0 : (sign || 1) * v)));
    width = rows.length;
    return {
      weights: rows.map((row) => row.slice(0, -1)),
      biases: rows.map((row, k) => held((row.at(-1) as number) + (shifts[k] as number))),
    };
  });
  const last = Array.from({ length: outputs }, (_, k) => drawn(`last ${k}`, width));
  return [...layers, { weights: last, biases: drawn('last', outputs) }];
}

function modelOf(recipe: Recipe): OnnxModel {
  const held = (data: readonly number[]) =>
    recipe.double ? Float64Array.from(data) : Float32Array.from(data);
  const layers = layersOf(recipe);
  const constants = layers.flatMap(({ weights, biases }, k): OnnxTensor[] => [
    { name: `w${k}`, shape: [weights.length, weights[0]?.length as number], data: held(weights.flat()) },
    { name: `b${k}`, shape: [biases.length], data: held(biases) },
  ]);
  const nodes = layers.flatMap((_, k) => {
    const isLast = k === layers.length - 1;
    const made = op('Gemm', [k === 0 ? 'x' : `r${k - 1}`, `w${k}`, `b${k}`], isLast ? 'y' : `z${k}`, {
      transB: { int: 1 },
    });
    return isLast ? [made] : [made, op('Relu', [`z${k}`], `r${k}`)];
  });
  return model({ input: ['N', recipe.inputs], nodes, constants, double: recipe.double });
}

describe('distinct neurons', () => {
  it('make the same function of chains with twins, beside rationals', () => {
    let [changed, runs] = [0, 0];
    fc.assert(
      fc.property(recipes, (recipe) => {
        const file = modelOf(recipe);
        const found = read(file, true);
        if (neurons(found) < neurons(read(file, false))) changed++;
        runs++;
        const layers = layersOf(recipe);
        for (let point = 0; point < 4; point++) {
          const x = Array.from(normalNumbers(`point ${recipe.seed} ${point}`, recipe.inputs), ofFloat);
          const exactly = layers.reduce((h, { weights, biases }, k) => {
            const z = weights.map((row, i) => plusOf(dot(row.map(ofFloat), h), ofFloat(biases[i] as number)));
            return k === layers.length - 1 ? z : z.map(relu);
          }, x);
          outputsOf(found, x).forEach((value, i) => {
            expect(difference(value, exactly[i] as Rational)).toBeLessThan(1);
          });
        }
      }),
      { numRuns: 300 },
    );
    expect(changed).toBeGreaterThan(runs / 5);
  });

  it.each([false, true])(
    'make of a lattice what it is, with a fraction of its ReLUs (float64: %s)',
    (double) => {
      for (const [functions, seed] of [
        [2, 'a'],
        [3, 'b'],
        [5, 'c'],
        [6, 'd'],
        [8, 'e'],
      ] as const) {
        const lattice = randomLattice(seed, functions, 2, double);
        const file = latticeModel(lattice, double);
        const found = read(file, true);
        expect(neurons(found)).toBeLessThanOrEqual(neurons(read(file, false)) / 4);
        for (let point = 0; point < 8; point++) {
          const x = Array.from(normalNumbers(`lattice point ${seed} ${point}`, 2), ofFloat);
          const at = lattice.slopes.map((row, f) =>
            plusOf(dot(row.map(ofFloat), x), ofFloat(lattice.offsets[f] as number)),
          );
          const value = lattice.sets
            .map((set) => set.map((f) => at[f] as Rational).reduce(smaller))
            .reduce(larger);
          expect(difference(outputsOf(found, x)[0] as Rational, value)).toBeLessThan(1);
        }
      }
    },
  );

  describe('leave a network as it is', () => {
    const tensor = (name: string, rows: readonly (readonly number[])[]): OnnxTensor => ({
      name,
      shape: [rows.length, (rows[0] as readonly number[]).length],
      data: Float32Array.from(rows.flat()),
    });
    const third = Math.fround(1 / 3);
    /** y = relu(x w) v, with w's columns opposite, and what else is said. */
    const built = (
      w: readonly (readonly number[])[],
      v: readonly (readonly number[])[],
      { factor = 1, twice = false } = {},
    ): OnnxModel =>
      model({
        input: ['N', w.length],
        nodes: [
          op('MatMul', ['x', 'w'], 'h'),
          op('Mul', ['h', 'c'], 'g'),
          op('Mul', ['g', 'c'], 'z'),
          op('Relu', ['z'], 'r'),
          op('MatMul', ['r', 'v'], twice ? 'o' : 'y'),
          ...(twice ? [op('MatMul', ['r', 'v'], 'p'), op('Add', ['o', 'p'], 'y')] : []),
        ],
        constants: [tensor('w', w), tensor('c', [[factor]]), tensor('v', v)],
      });
    const opposite = [
      [1, -1, 1],
      [third, -third, third],
    ];
    const out = [[1], [0.5], [-1]];

    it('unless asked to', () => {
      const file = built(opposite, out);
      expect(neurons(importOnnx(encodeOnnx(file)) as Read)).toBe(3);
      expect(neurons(read(file, true))).toBe(1);
    });

    it.each([
      ['without twins', built([[1, -2, third]], out)],
      ['that is no chain any more, for the half', built([[1, -1]], [[1], [0.5]])],
      ['whose weights were rounded', built(opposite, out, { factor: third })],
      ['whose neurons are read twice', built(opposite, out, { twice: true })],
      [
        'that cancels what it reads',
        built(
          [
            [1, 1],
            [third, third],
          ],
          [[1], [-1 - 2 ** -20]],
        ),
      ],
    ])('%s', (_, file) => {
      const names = ({ network }: Read) => network.nodes.map(({ layer }) => `${layer.name} ${layer.output}`);
      expect(names(read(file, true))).toEqual(names(read(file, false)));
    });
  });
});
