import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constant, evaluate, mul, type Tensor, total } from '../../graph/index.js';
import { distance, separated } from '../../testing/operator-check.js';
import { convolutionLayer } from './convolution.js';
import { type GroupedGeometry, groupedConvolutionLayer } from './grouped-convolution.js';
import { type AffineLayer, type Extents, featuresOf, type Weights } from './layer.js';
import { linearLayer } from './linear.js';
import { normalizeLayer } from './normalize.js';
import { poolingLayer } from './pooling.js';
import { scaleLayer } from './scale.js';
import { selectionLayer } from './selection.js';
import { type TransposedGeometry, transposedConvolutionLayer } from './transposed-convolution.js';

const between = (min: number, max: number) => fc.integer({ min, max });
const extents: fc.Arbitrary<Extents> = fc.tuple(between(1, 2), between(2, 5), between(2, 5));

/**
 * Convolutions of oblong images with oblong kernels, unequal strides and unequal paddings, some of which
 * leave input pixels unseen.
 */
const convolutions = fc
  .record({
    input: extents,
    channels: between(1, 3),
    kernel: fc.tuple(between(1, 4), between(1, 4)),
    stride: fc.tuple(between(1, 3), between(1, 3)),
    padding: fc.tuple(between(0, 2), between(0, 2), between(0, 2), between(0, 2)),
  })
  .filter(
    ({ input, kernel, padding: [top, left, bottom, right] }) =>
      input[1] + top + bottom >= kernel[0] && input[2] + left + right >= kernel[1],
  );
type Geometry = typeof convolutions extends fc.Arbitrary<infer T> ? T : never;

/** Convolutions in one to three groups, with taps up to two apart. */
const grouped = fc
  .record({
    groups: between(1, 3),
    inputs: between(1, 2),
    outputs: between(1, 2),
    extents: fc.tuple(between(3, 6), between(3, 6)),
    kernel: fc.tuple(between(1, 3), between(1, 3)),
    dilation: fc.tuple(between(1, 2), between(1, 2)),
    stride: fc.tuple(between(1, 3), between(1, 3)),
    padding: fc.tuple(between(1, 2), between(1, 2), between(1, 2), between(1, 2)),
  })
  .map(
    ({
      groups,
      inputs,
      outputs,
      extents: [height, width],
      ...rest
    }): { input: Extents } & Required<GroupedGeometry> => ({
      input: [groups * inputs, height, width],
      channels: groups * outputs,
      groups,
      ...rest,
    }),
  );

/** The same transposed, on smaller inputs: the padding above and left is less than the kernel leaves. */
const transposed = fc
  .tuple(grouped, fc.tuple(between(0, 1), between(0, 1)), fc.boolean())
  .map(([{ input, padding, ...rest }, more, plain]): { input: Extents } & TransposedGeometry => ({
    ...rest,
    ...(plain && { groups: 1, dilation: [1, 1] }),
    input: [input[0], input[1] - 2, input[2] - 2],
    padding: padding.map((p, i) => (i > 1 || rest.kernel[i] === 1 ? 0 : p - 1)) as [
      number,
      number,
      number,
      number,
    ],
    outputPadding: [Math.min(more[0], rest.stride[0] - 1), Math.min(more[1], rest.stride[1] - 1)],
  }));

/** Tables of any repetitions and gaps. */
const tables = (features: number, length: number) =>
  fc
    .array(between(-1, features - 1), { minLength: length, maxLength: length })
    .map((entries) => Int32Array.from(entries));
const selections = fc
  .tuple(extents, extents)
  .chain(([input, output]) =>
    fc
      .tuple(tables(featuresOf(input), featuresOf(output)), fc.boolean())
      .map(([table, filled]) =>
        selectionLayer(
          input,
          output,
          table,
          filled ? Array.from(table, (row, i) => (row < 0 ? i / 3 : 0)) : undefined,
        ),
      ),
  );
const pools = fc.tuple(extents, extents, fc.constantFrom(1, 3, 20)).chain(([input, output, terms]) => {
  const outputs = featuresOf(output);
  return tables(featuresOf(input), outputs * terms).map((table) =>
    poolingLayer(
      input,
      output,
      table,
      Array.from({ length: outputs }, (_, i) => 1 / (1 + i)),
    ),
  );
});

const layers: [string, fc.Arbitrary<AffineLayer>][] = [
  ['convolution', convolutions.map(({ input, ...geometry }) => convolutionLayer(input, geometry))],
  ['linear', fc.tuple(extents, between(1, 5)).map(([input, outputs]) => linearLayer(input, outputs))],
  [
    'normalize',
    extents.map((input) =>
      normalizeLayer(input, { mean: [0.3, 0.6].slice(0, input[0]), std: [0.2, 0.5].slice(0, input[0]) }),
    ),
  ],
  ['scale', extents.map(scaleLayer)],
  ['grouped convolution', grouped.map(({ input, ...geometry }) => groupedConvolutionLayer(input, geometry))],
  [
    'transposed convolution',
    transposed.map(({ input, ...geometry }) => transposedConvolutionLayer(input, geometry)),
  ],
  ['selection', selections],
  ['pooling', pools],
];

const batch = 2;
const values = (tensor: Tensor): Float64Array => evaluate([tensor], {})[0] as Float64Array;
const filled = (shape: readonly number[], seed: number): Tensor =>
  constant(
    separated(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    shape,
    'float64',
  );
const weightsFor = ({ parameters }: AffineLayer, seed: number): Weights =>
  Object.fromEntries(parameters.map(({ name, shape }, i) => [name, filled(shape, seed + i)]));
const inputFor = (layer: AffineLayer, seed: number) => filled([featuresOf(layer.input), batch], seed);

/** The matrix of the layer's linear part, [features out][features in], a column for each unit vector. */
function matrixOf(layer: AffineLayer, weights: Weights): Float64Array {
  const n = featuresOf(layer.input);
  const identity = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  return values(layer.linear(weights, constant(identity, [n, n], 'float64')));
}

describe.each(layers)('the affine layer %s', (_, arbitrary) => {
  const property = (claim: (layer: AffineLayer, seed: number) => void) =>
    fc.assert(fc.property(arbitrary, fc.nat(1e6), claim), { numRuns: 40 });

  it('has outputs of the extents it declares', () => {
    property((layer, seed) => {
      expect(layer.apply(weightsFor(layer, seed), inputFor(layer, seed)).shape).toEqual([
        featuresOf(layer.output),
        batch,
      ]);
    });
  });

  it('its adjoint satisfies ⟨L x, a⟩ = ⟨x, Lᵀ a⟩', () => {
    property((layer, seed) => {
      const weights = weightsFor(layer, seed);
      const x = inputFor(layer, seed + 7);
      const a = filled([featuresOf(layer.output), batch], seed + 8);
      const adjoint = layer.adjoint(weights, a);
      expect(adjoint.shape).toEqual(x.shape);
      expect(
        distance(values(total(mul(layer.linear(weights, x), a))), values(total(mul(x, adjoint)))),
      ).toBeLessThan(1e-12);
    });
  });

  it('is its linear part plus its bias, and the linear part alone without one', () => {
    property((layer, seed) => {
      const weights = weightsFor(layer, seed);
      const x = inputFor(layer, seed + 7);
      const linear = values(layer.linear(weights, x));
      const column = layer.bias(weights, 'float64');
      const bias = column ? values(column) : new Float64Array(featuresOf(layer.output));
      expect(bias).toHaveLength(featuresOf(layer.output));
      expect(
        distance(
          values(layer.apply(weights, x)),
          linear.map((y, i) => y + (bias[Math.floor(i / batch)] as number)),
        ),
      ).toBeLessThan(1e-12);
      if (layer.parameters.length === 0) return;
      expect(layer.bias({ weight: weights.weight }, 'float64')).toBeUndefined();
      expect(values(layer.apply({ weight: weights.weight }, x))).toEqual(linear);
    });
  });

  it('with absolute weights is the matrix of absolute values', () => {
    property((layer, seed) => {
      const weights = weightsFor(layer, seed);
      expect(matrixOf(layer, layer.absolute(weights))).toEqual(matrixOf(layer, weights).map(Math.abs));
    });
  });
});

/**
 * y[o, i, j] = b[o] + Σ w[o, c, p, q] · x[c, i·s − t + d·p, j·s' − l + d'·q] over the channels c of o's
 * group, pixels beyond the border being zero.
 */
function convolveDirectly(
  {
    input: [depth, height, width],
    channels,
    kernel,
    stride,
    padding,
    groups = 1,
    dilation = [1, 1],
  }: Geometry & Pick<GroupedGeometry, 'groups' | 'dilation'>,
  w: Float64Array,
  b: Float64Array,
  x: Float64Array,
): number[] {
  const rows =
    Math.floor((height + padding[0] + padding[2] - (kernel[0] - 1) * dilation[0] - 1) / stride[0]) + 1;
  const columns =
    Math.floor((width + padding[1] + padding[3] - (kernel[1] - 1) * dilation[1] - 1) / stride[1]) + 1;
  const share = depth / groups;
  const out: number[] = [];
  for (let o = 0; o < channels; o++)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        for (let n = 0; n < batch; n++) {
          let y = b[o] as number;
          for (let c = 0; c < share; c++)
            for (let p = 0; p < kernel[0]; p++)
              for (let q = 0; q < kernel[1]; q++) {
                const [r, s] = [
                  i * stride[0] - padding[0] + p * dilation[0],
                  j * stride[1] - padding[1] + q * dilation[1],
                ];
                if (r < 0 || r >= height || s < 0 || s >= width) continue;
                const channel = Math.floor(o / (channels / groups)) * share + c;
                y +=
                  (w[((o * share + c) * kernel[0] + p) * kernel[1] + q] as number) *
                  (x[((channel * height + r) * width + s) * batch + n] as number);
              }
          out.push(y);
        }
  return out;
}

describe('convolution', () => {
  const layersOf: [string, fc.Arbitrary<Geometry & GroupedGeometry>, typeof groupedConvolutionLayer][] = [
    ['for any strides, paddings and kernels', convolutions, convolutionLayer],
    [
      'in groups of channels and dilated',
      grouped as fc.Arbitrary<Geometry & GroupedGeometry>,
      groupedConvolutionLayer,
    ],
  ];
  it.each(layersOf)('equals the sum over its taps, %s', (_, geometries, layerOf) => {
    fc.assert(
      fc.property(geometries, fc.nat(1e6), (geometry, seed) => {
        const layer = layerOf(geometry.input, geometry);
        const weights = weightsFor(layer, seed);
        const x = inputFor(layer, seed + 7);
        const direct = convolveDirectly(
          geometry,
          values(weights.weight as Tensor),
          values(weights.bias as Tensor),
          values(x),
        );
        expect(distance(values(layer.apply(weights, x)), direct)).toBeLessThan(1e-12);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses a kernel that does not fit', () => {
    expect(() => convolutionLayer([1, 3, 3], { channels: 1, kernel: [5, 2], padding: [1, 0, 0, 0] })).toThrow(
      'a kernel of 5×2 does not fit an input of 1×3×3 with padding 1,0,0,0',
    );
  });
});

describe('a separable layer', () => {
  it('has at most one entry in each row and column of its matrix', () => {
    let met = 0;
    for (const [, arbitrary] of layers)
      fc.assert(
        fc.property(arbitrary, fc.nat(1e6), (layer, seed) => {
          if (!layer.separable) return;
          met++;
          const columns = featuresOf(layer.input);
          const [rowCounts, columnCounts] = [
            new Int32Array(featuresOf(layer.output)),
            new Int32Array(columns),
          ];
          matrixOf(layer, weightsFor(layer, seed)).forEach((entry, i) => {
            if (entry === 0) return;
            const row = Math.floor(i / columns);
            rowCounts[row] = (rowCounts[row] as number) + 1;
            columnCounts[i % columns] = (columnCounts[i % columns] as number) + 1;
          });
          expect(Math.max(...rowCounts, ...columnCounts)).toBeLessThanOrEqual(1);
        }),
        { numRuns: 20 },
      );
    expect(met).toBeGreaterThan(30);
  });
});
