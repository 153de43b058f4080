import { describe, expect, it } from 'vitest';
import { propagate, propagateBack } from './interval-kernel.js';
import { encodeLayers, type KernelLayer, type LayerChain } from './layer-chain.js';
import { hasRowKernel } from './row-kernel.js';

/** A layer of two inputs and one output; arrays by position. */
const layer: KernelLayer = {
  input: [2, 1, 1],
  output: [1, 1, 1],
  kernel: [1, 1],
  stride: [1, 1],
  padding: [0, 0],
  relu: true,
  weight: 2,
  bias: 3,
  sums: [4, 5],
  passed: [6, 7],
};
/** z = relu(x₁ − 2 x₂ + ½) of two images, their boxes, sums and what the ReLU passes. */
const chain: LayerChain = { batch: 2, input: [0, 1], layers: [layer] };
const encoded = encodeLayers(chain);
const given = (): Float64Array[] =>
  [
    [1, 0, -1, 0.5], // lower ends, feature by feature
    [2, 0, 1, 1], // upper ends
    [1, -2], // W
    [0.5], // b
    [0, 0],
    [0, 0],
    [0, 0],
    [0, 0],
  ].map((values) => new Float64Array(values));

describe.skipIf(!hasRowKernel())('intervals of one layer', () => {
  it('are those by hand', () => {
    const arrays = given();
    propagate({ chain: encoded, arrays });
    // Image 1: [1 − 2 + ½, 2 + 2 + ½]; image 2: [0 − 2 + ½, 0 − 1 + ½].
    expect(arrays.slice(4).map((array) => [...array])).toEqual([
      [-0.5, -1.5],
      [4.5, -0.5],
      [0, 0],
      [4.5, 0],
    ]);
  });

  it('have the derivative that they show by hand', () => {
    const arrays = given();
    const stored = new Float64Array(encoded.stored);
    propagate({ chain: encoded, arrays }, stored);
    const gradients = arrays.map((array) => new Float64Array(array.length));
    // ∂/∂ of 3 · (lower sum of image 2) + 2 · (upper end that the ReLU passes of image 1).
    (gradients[4] as Float64Array)[1] = 3;
    (gradients[7] as Float64Array)[0] = 2;
    propagateBack({ chain: encoded, arrays }, stored, gradients);
    // Lower sums take lower x₁ and upper x₂, upper ones the others.
    expect(gradients.slice(0, 4).map((array) => [...array])).toEqual([
      [0, 3, -4, 0],
      [2, 0, 0, -6],
      [3 * 0 + 2 * 2, 3 * 1 + 2 * -1],
      [5],
    ]);
  });

  it('have the moments that they show by hand, of the images that count', () => {
    // Sums of a batch of three: [−½, 4½], [−1½, −½] and, were it there, [½, 4½].
    const moments = encodeLayers({
      ...{ batch: 3, input: [0, 1], present: 5 },
      layers: [{ ...layer, sums: [], passed: [], moments: 4 }],
    });
    const arrays = [
      [1, 0, 4, -1, 0.5, 0],
      [2, 0, 4, 1, 1, 2],
      [1, -2],
      [0.5],
      [0, 0, 0, 0, 0],
      [1, 1, 0],
    ].map((values) => new Float64Array(values));
    propagate({ chain: moments, arrays });
    // Widths 5 + 1; none above zero; image 2 below: its centre −1, the mean of 2 and −1 being ½.
    expect([...(arrays[4] as Float64Array)]).toEqual([6, 0, -1, 0, 2.25]);
    const stored = new Float64Array(moments.stored);
    propagate({ chain: moments, arrays }, stored);
    const gradients = arrays.map((array) => new Float64Array(array.length));
    // ∂/∂ of the squared deviation: −1½ in the centre of image 2, and 1½ in image 1's, as the mean moves.
    (gradients[4] as Float64Array)[4] = 1;
    propagateBack({ chain: moments, arrays }, stored, gradients);
    expect(gradients[3]).toEqual(Float64Array.of(0));
    // Centres have half of it in each end; lower x₁ and upper x₂ make the lower sum.
    expect([...(gradients[0] as Float64Array)]).toEqual([0.75, -0.75, 0, -1.5, 1.5, 0]);
  });

  it('with one value are those of x, without the ReLU where it does not pass', () => {
    const only = { ...layer, weight: 1, bias: undefined, sums: [2, undefined], passed: [3, undefined] };
    const values = encodeLayers({ batch: 2, input: [0], layers: [only] });
    const arrays = [
      [1, 2, 3, 0.5],
      [1, -2],
      [0, 0],
      [0, 0],
    ].map((array) => new Float64Array(array));
    propagate({ chain: values, arrays });
    expect(arrays.slice(2).map((array) => [...array])).toEqual([
      [-5, 1],
      [0, 1],
    ]);
  });
});

describe.skipIf(!hasRowKernel())('a convolution behind a linear layer', () => {
  it('reads each image of a batch, whether or not activations are stored', () => {
    // x ↦ 2x on one place, then with zeros around it by a kernel of one tap: 2x at the centre.
    const place = { input: [1, 1, 1], output: [1, 1, 1], kernel: [1, 1], stride: [1, 1] } as const;
    const layers: KernelLayer[] = [
      { ...place, padding: [0, 0], relu: false, weight: 1, bias: undefined, sums: [], passed: [] },
      {
        ...{ ...place, output: [1, 3, 3], padding: [1, 1], relu: false, weight: 2, bias: undefined },
        ...{ sums: [3], passed: [] },
      },
    ];
    const BATCH = 19;
    const chain = encodeLayers({ batch: BATCH, input: [0], layers });
    for (const isStored of [true, false]) {
      const x = Float64Array.from({ length: BATCH }, (_, image) => image + 1);
      const arrays = [x, Float64Array.of(2), Float64Array.of(1), new Float64Array(9 * BATCH)];
      propagate({ chain, arrays }, isStored ? new Float64Array(chain.stored) : undefined);
      const centre = arrays[3]?.subarray(4 * BATCH, 5 * BATCH);
      expect(centre).toEqual(x.map((value) => 2 * value));
      expect(arrays[3]?.subarray(0, 4 * BATCH)).toEqual(new Float64Array(4 * BATCH));
    }
  });
});

describe('the door to the interval kernel', () => {
  it('refuses arrays, stored activations and gradients that do not fit the chain, in one line', () => {
    const arrays = given();
    expect(() => propagate({ chain: encoded, arrays: arrays.slice(1) })).toThrow('expected 8 arrays, got 7');
    for (const [i, array] of arrays.entries())
      expect(() =>
        propagate({ chain: encoded, arrays: arrays.with(i, new Float64Array(array.length + 1)) }),
      ).toThrow(/expected array \d of/);
    const single = new Float32Array(4) as unknown as Float64Array;
    expect(() => propagate({ chain: encoded, arrays: arrays.with(1, single) })).toThrow(
      /got 4 as Float32Array/,
    );
    expect(() => propagate({ chain: encoded, arrays }, new Float64Array(3))).toThrow(/for activations/);
    const stored = new Float64Array(encoded.stored);
    const gradients = arrays.map(() => new Float64Array(1));
    expect(() => propagateBack({ chain: encoded, arrays }, stored, gradients)).toThrow(
      /a gradient of the size of each array/,
    );
  });

  it('refuses chains whose layers do not follow one another, or that are no layers', () => {
    const hostile = (change: Partial<KernelLayer>, ...more: KernelLayer[]) => {
      return () => encodeLayers({ ...chain, layers: [{ ...layer, ...change }, ...more] });
    };
    expect(hostile({ input: [2, 0, 1] })).toThrow(/whole, positive numbers/);
    expect(hostile({ kernel: [1.5, 1] })).toThrow(/whole, positive numbers/);
    expect(hostile({ stride: [0, 1] })).toThrow(/whole, positive numbers/);
    expect(hostile({ padding: [-1, 0] })).toThrow(/below 32768/);
    expect(hostile({ kernel: [2 ** 15, 1] })).toThrow(/below 32768/);
    expect(hostile({ input: [Number.NaN, 1, 1] })).toThrow(/whole, positive numbers/);
    expect(hostile({ input: [2 ** 20, 2 ** 6, 2 ** 6] })).toThrow(/2³⁰ features/);
    expect(hostile({ input: [2 ** 16, 1, 1], output: [2 ** 16, 1, 1] })).toThrow(/2³⁰ numbers/);
    const free = { bias: undefined, sums: [], passed: [] };
    expect(hostile({}, { ...layer, ...free, weight: 8 })).toThrow('a layer that reads 1×1×1, got 2×1×1');
    // One place of padded zeros around is no vector: features would be read in another order.
    const wide = { ...layer, ...free, weight: 8, input: [1, 1, 1], padding: [1, 1] } as const;
    expect(hostile({ output: [1, 1, 1] }, wide)).not.toThrow();
    expect(hostile({ output: [1, 2, 2] }, { ...wide, input: [4, 1, 1] })).toThrow(/reads 1×2×2, got 4×1×1/);
    expect(hostile({ weight: 1 })).toThrow('one array at each position, got two at 1');
    expect(hostile({ weight: -1 })).toThrow('positions of arrays, got -1');
    expect(hostile({ weight: 9 })).toThrow('an array at every position');
    expect(() => encodeLayers({ ...chain, batch: 0 })).toThrow('a batch, got 0');
    const moments = { ...chain, layers: [{ ...layer, moments: 8 }] };
    expect(() => encodeLayers(moments)).toThrow(/the weights of images in them/);
    expect(hostile({ moments: 8, relu: false })).toThrow(/the weights of images in them/);
    const noRelu = { ...moments, present: 9, layers: [{ ...layer, moments: 8, relu: false }] };
    expect(() => encodeLayers(noRelu)).toThrow(/moments of what a ReLU reads/);
    expect(() => encodeLayers({ ...chain, layers: [] })).toThrow('a layer at least');
    expect(() => encodeLayers({ ...chain, input: [0] })).toThrow(/one value of a layer to be seen/);
  });
});
