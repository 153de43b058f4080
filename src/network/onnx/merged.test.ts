import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeOnnx, type OnnxTensor } from '../../formats/onnx.js';
import { fileDifference } from '../../testing/onnx-difference.js';
import { type Built, model, op } from '../../testing/onnx-models.js';
import { minusOf, ofFloat, plusOf, type Rational, sizeOf, timesOf } from '../../testing/rationals.js';
import { importOnnx } from './import.js';

type Rows = readonly (readonly number[])[];
/** Float32 numbers of all sizes that a network may have, many of them alike. */
const number = fc.oneof(
  fc.constantFrom(0, 1, -1, 0.5, -0.25),
  fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround),
  fc
    .tuple(fc.double({ min: 1, max: 2, noNaN: true }), fc.integer({ min: -20, max: 3 }))
    .map(([m, e]) => Math.fround(m * 2 ** e)),
);
const matrix = (rows: number, columns: number) =>
  fc.array(fc.array(number, { minLength: columns, maxLength: columns }), {
    minLength: rows,
    maxLength: rows,
  });
/** Weights and biases of layers of these widths. */
const layers = fc
  .array(fc.integer({ min: 1, max: 6 }), { minLength: 3, maxLength: 5 })
  .chain((widths) =>
    fc.tuple(
      ...widths.slice(1).map((width, i) => fc.tuple(matrix(width, widths[i] as number), matrix(1, width))),
    ),
  ) as fc.Arbitrary<(readonly [Rows, Rows])[]>;

const tensor = (name: string, rows: Rows): OnnxTensor => ({
  name,
  shape: [rows.length, (rows[0] as readonly number[]).length],
  data: Float32Array.from(rows.flat()),
});
const widthOf = ([first]: readonly (readonly [Rows, Rows])[]): number => first?.[0][0]?.length ?? 0;
/** x · Wᵀ + b, again and again. */
const fileOf = (of: readonly (readonly [Rows, Rows])[]): Built => ({
  input: ['N', widthOf(of)],
  nodes: of.map((_, i) =>
    op('Gemm', [i === 0 ? 'x' : `h${i}`, `w${i}`, `b${i}`], i === of.length - 1 ? 'y' : `h${i + 1}`, {
      transB: { int: 1 },
    }),
  ),
  constants: of.flatMap(([w, b], i) => [tensor(`w${i}`, w), tensor(`b${i}`, b)]),
});
const bytesOf = (built: Built) => encodeOnnx(model(built));

const ZERO = ofFloat(0);
const dot = (a: readonly Rational[], b: readonly Rational[]) =>
  a.reduce((sum, value, i) => plusOf(sum, timesOf(value, b[i] as Rational)), ZERO);
/** The exact outputs of layers at x. */
const outputsOf =
  (of: readonly (readonly [readonly (readonly Rational[])[], readonly Rational[]])[]) =>
  (x: readonly Rational[]): readonly Rational[] =>
    of.reduce((h, [w, b]) => w.map((row, i) => plusOf(dot(row, h), b[i] as Rational)), x);
const rationals = (rows: Rows) => rows.map((row) => row.map(ofFloat));

/** The layers of an imported network, its float64 parameters where float32 does not hold them. */
function importedLayers(built: Built): [Rational[][], Rational[]][] {
  const { network, parameters, exact } = importOnnx(bytesOf(built));
  return network.nodes.map(({ layer }, k) => {
    expect(layer.kind === 'affine' && layer.name).toBe('linear');
    const of = (name: string) => {
      const key = `${k}.${name}`;
      return Array.from(exact[key] ?? (parameters[key] as Float32Array), ofFloat);
    };
    const [weight, bias] = [of('weight'), of('bias')];
    const width = weight.length / bias.length;
    return [bias.map((_, i) => weight.slice(i * width, (i + 1) * width)), bias];
  });
}

describe('linear layers in a row', () => {
  it('have the outputs of the file, to one rounding of each weight, beside rationals', () => {
    let merged = 0;
    fc.assert(
      fc.property(layers, (of) => {
        const found = importedLayers(fileOf(of));
        if (found.length < of.length) merged++;
        const exactly = outputsOf(of.map(([w, b]) => [rationals(w), rationals(b)[0] as Rational[]]));
        const read = outputsOf(found);
        const inputs = widthOf(of);
        // A merged weight is within 2⁻⁵³ of its size, layers that cancel stay apart: far below 2⁻⁴⁰.
        const unit = (i: number) => Array.from({ length: inputs }, (_, j) => ofFloat(i === j ? 1 : 0));
        for (const x of [unit(-1), ...Array.from({ length: inputs }, (_, i) => unit(i))]) {
          const [wanted, got] = [exactly(x), read(x)];
          wanted.forEach((value, i) => {
            const error = sizeOf(minusOf(got[i] as Rational, value));
            expect(Number((error.numerator * 2n ** 80n) / error.denominator)).toBeLessThan(2 ** 40);
          });
        }
      }),
      { numRuns: 300 },
    );
    expect(merged).toBeGreaterThan(50);
  });

  it('are one layer where that is not larger, however many they are', () => {
    const rows = (n: number, m: number): Rows =>
      Array.from({ length: n }, (_, i) =>
        Array.from({ length: m }, (_, j) => Math.fround(1 / (1 + i + 3 * j))),
      );
    const growing = [rows(4, 2), rows(6, 4), rows(3, 6)].map((w) => [w, rows(1, w.length)] as const);
    expect(importedLayers(fileOf(growing))).toHaveLength(1);
    const bottleneck = [rows(1, 6), rows(6, 1)].map((w) => [w, rows(1, w.length)] as const);
    expect(importedLayers(fileOf(bottleneck))).toHaveLength(2);
  });

  it('stay apart where they cancel, which float32 would show', () => {
    const near = 1 + 2 ** -20;
    const of = [
      [[[1], [near]], [[0, 0]]],
      [[[1, -1]], [[0]]],
    ] as const;
    expect(importedLayers(fileOf(of))).toHaveLength(2);
  });

  it('stay apart where a factor between them was rounded into the first', () => {
    const rows = [[1, 0.5], [0.25, 1 / 3].map(Math.fround)];
    const built = (factor: number): Built => ({
      input: ['N', 2],
      nodes: [op('MatMul', ['x', 'w'], 'h'), op('Mul', ['h', 'c'], 'g'), op('MatMul', ['g', 'w'], 'y')],
      constants: [tensor('w', rows), tensor('c', [[factor, factor]])],
    });
    expect(importedLayers(built(Math.fround(1 / 3)))).toHaveLength(2);
    expect(importedLayers(built(1))).toHaveLength(1);
  });

  it('stay apart where the first bias is more than two float64 hold: all that is left may cancel', () => {
    const doubles = (name: string, shape: readonly number[], values: readonly number[]): OnnxTensor => ({
      name,
      shape,
      data: Float64Array.from(values),
    });
    // h = x·(1, 1) + (1 + 2⁻⁶⁰ + last, 1 + 2⁻⁶⁰), y = (h₀ − h₁, h₀ + h₁): y₀ = last.
    const built = (last: number): Built => ({
      double: true,
      input: ['N', 1],
      nodes: [
        op('Gemm', ['x', 'w', 'b'], 'h'),
        op('Add', ['h', 'c'], 'i'),
        op('Add', ['i', 'd'], 'j'),
        op('MatMul', ['j', 'v'], 'y'),
      ],
      constants: [
        doubles('w', [1, 2], [1, 1]),
        doubles('b', [2], [1, 1]),
        doubles('c', [2], [2 ** -60, 2 ** -60]),
        doubles('d', [2], [last, 0]),
        doubles('v', [2, 2], [1, 1, -1, 1]),
      ],
    });
    const exactly = importedLayers(built(2 ** -62));
    expect(exactly).toHaveLength(1);
    expect(exactly[0]?.[1][0]).toEqual(ofFloat(2 ** -62));
    expect(importedLayers(built(2 ** -120))).toHaveLength(2);
  });

  it('stay apart where the first is read twice', async () => {
    const [w, b] = [
      tensor('w', [
        [1, 2],
        [3, -1],
      ]),
      tensor('b', [[0.5, 1]]),
    ];
    const built: Built = {
      input: ['N', 2],
      nodes: [op('Gemm', ['x', 'w', 'b'], 'h'), op('Gemm', ['h', 'w', 'b'], 'g'), op('Add', ['g', 'h'], 'y')],
      constants: [w, b],
    };
    expect(
      importOnnx(bytesOf(built)).network.nodes.filter(({ layer }) => layer.kind === 'affine'),
    ).toHaveLength(2);
    expect(await fileDifference(bytesOf(built), ['N', 2])).toBeLessThan(1e-5);
  });
});
