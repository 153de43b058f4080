import { describe, expect, it } from 'vitest';
import { encodeChain, type KernelChain, type KernelRegion } from './row-chain.js';
import { hasRowKernel, kernelBounds, kernelGradients } from './row-kernel.js';

const vector = (channels: number): KernelRegion => ({
  channels,
  window: [1, 1],
  layer: [1, 1],
  stride: [0, 0],
  padding: [0, 0],
});

/** y = w · relu(V x + c) + b of one neuron, two hidden ones, two inputs and a batch of one. */
const chain: KernelChain = {
  batch: 1,
  channels: 1,
  grid: [1, 1],
  weight: 0,
  bias: 1,
  input: vector(2),
  steps: [
    { step: { kind: 'relu', region: vector(2) }, arrays: [2, 3, 4] },
    {
      step: {
        kind: 'affine',
        region: vector(2),
        behind: vector(2),
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
      },
      arrays: [5, 6],
    },
  ],
};
const encoded = encodeChain(chain);
const arrays = [
  [1, -1], // w
  [0.25], // b
  [1, 0], // α
  [0.5, 0.5], // λ
  [0.25, 0.5], // μ
  [1, 2, 3, -1], // V
  [0.5, -0.5], // c
  [0.5, 0.25], // centre
  [0.5, 1], // radius
].map((values) => new Float64Array(values));
const rows = Int32Array.of(0);

describe.skipIf(!hasRowKernel())('bounds of one neuron', () => {
  it('are those by hand', () => {
    const [lower, upper] = [new Float64Array(1), new Float64Array(1)];
    kernelBounds({ chain: encoded, arrays, rows }, lower, upper);
    // Below: relu₁ ≥ x₁, −relu₂ ≥ −(½ x₂ + ½). Row (1, −½) V = (−½, 2½), c gives ¾.
    expect(lower[0]).toBeCloseTo(0.25 - 0.5 + 0.75 + (-0.25 + 0.625) - (0.25 + 2.5), 14);
    // Above: relu₁ ≤ ½ x₁ + ¼, −relu₂ ≤ 0. Row (½, 0) V = (½, 1), c gives ¼.
    expect(upper[0]).toBeCloseTo(0.25 + 0.25 + 0.25 + (0.25 + 0.25) + (0.25 + 1), 14);
  });

  it('have the derivative by bias, radius and slope that they show by hand', () => {
    const gradients = arrays.map((array) => new Float64Array(array.length));
    kernelGradients({ chain: encoded, arrays, rows }, Float64Array.of(1), Float64Array.of(2), gradients);
    expect([...(gradients[1] as Float64Array)]).toEqual([3]);
    expect([...(gradients[8] as Float64Array)]).toEqual([-0.5 + 2 * 0.5, -2.5 + 2 * 1]);
    // By α of neuron 1 where its coefficient is positive, below: V x + c there; by that of neuron 2, above.
    expect([...(gradients[2] as Float64Array)]).toEqual([0, -2.5]);
  });
});

describe('the door to the row kernel', () => {
  const run = (change: Partial<{ arrays: Float64Array[]; rows: Int32Array; lower: Float64Array }>) =>
    kernelBounds(
      { chain: encoded, arrays: change.arrays ?? arrays, rows: change.rows ?? rows },
      change.lower ?? new Float64Array(1),
      new Float64Array(1),
    );

  it('refuses rows, arrays and bounds that do not fit the chain, in one line', () => {
    for (const row of [-1, 1, 2 ** 30])
      expect(() => run({ rows: Int32Array.of(row) })).toThrow(/expected rows of 0 to 0, got/);
    expect(() => run({ arrays: arrays.slice(1) })).toThrow('row kernel: expected 9 arrays, got 8');
    for (const [i, array] of arrays.entries())
      expect(() => run({ arrays: arrays.with(i, new Float64Array(array.length + 1)) })).toThrow(
        /expected array \d of/,
      );
    const single = new Float32Array(2) as unknown as Float64Array<ArrayBuffer>;
    expect(() => run({ arrays: [single, ...arrays.slice(1)] })).toThrow(
      /as Float64Array, got 2 as Float32Array/,
    );
    expect(() => run({ lower: new Float64Array(2) })).toThrow('expected 1 lower and upper bounds, got 2');
    const gradients = arrays.map(() => new Float64Array(1));
    expect(() =>
      kernelGradients({ chain: encoded, arrays, rows }, new Float64Array(1), new Float64Array(1), gradients),
    ).toThrow(/a gradient of the size of each array/);
  });

  it('refuses chains whose regions do not follow one another, or that are no regions', () => {
    const hostile = (change: Partial<KernelChain>) => () => encodeChain({ ...chain, ...change });
    expect(hostile({ input: vector(3) })).toThrow('expected a region of 2 coefficients at the input, got 3');
    expect(hostile({ batch: 0 })).toThrow(/a batch, channels and a grid of positive numbers/);
    expect(hostile({ batch: 2 ** 31 })).toThrow(/fewer than 2³¹ neurons/);
    expect(hostile({ input: vector(Number.NaN) })).toThrow(/whole, positive extents/);
    expect(hostile({ input: { ...vector(2), padding: [-1, 0] } })).toThrow(/strides and padding/);
    const huge = vector(2 ** 21);
    const steps = [{ step: { kind: 'relu', region: huge } as const, arrays: [2, 3, 4] }];
    expect(hostile({ steps, input: huge })).toThrow(/at most 1048576 coefficients/);
  });
});
