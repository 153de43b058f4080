import { describe, expect, it } from 'vitest';
import { checkLoss, type KernelLoss, type LossLayer } from './loss-chain.js';
import { kernelLosses, LOSS_SUM_COUNT, LOSS_SUMS } from './loss-kernel.js';
import { hasRowKernel } from './row-kernel.js';

const layer = (inputs: number, outputs: number, node: number): LossLayer => ({
  input: [inputs, 1, 1],
  output: [outputs, 1, 1],
  kernel: [1, 1],
  stride: [1, 1],
  padding: [0, 0],
  weight: `${node}.weight`,
  bias: `${node}.bias`,
});

/** Two logits ±(relu(x₁ − ½) + ¼ relu(x₁ + x₂)) of two pixels. */
const loss: KernelLoss = {
  relaxation: 'ibp',
  natural: 'loss',
  clip: false,
  batch: 1,
  layers: [layer(2, 2, 0), layer(2, 2, 2)],
  chains: [],
  normalization: [],
  l1: 1,
  warmup: false,
  work: 8,
};
const points = Float64Array.of(...[1, 0, 1, 1], ...[-0.5, 0], ...[1, 0.25, -1, -0.25], ...[0, 0]);
const members = {
  points,
  coordinates: 12,
  offsets: { '0.weight': 0, '0.bias': 4, '2.weight': 6, '2.bias': 10 },
};
const on = {
  images: Float64Array.of(0.75, 0.25),
  labels: Int32Array.of(0),
  weight: Float64Array.of(1),
  epsilon: 0.5,
  regularizer: false,
};

describe.skipIf(!hasRowKernel())('the loss of one image', () => {
  const sums = (relaxation: KernelLoss['relaxation']) => {
    const found = kernelLosses({ ...loss, relaxation }, members, on);
    return (name: keyof typeof LOSS_SUMS) => found[LOSS_SUMS[name]] as number;
  };

  it('is that by hand: of the logits ±½, and of the worst case that intervals allow', () => {
    const of = sums('ibp');
    // Hidden: ¼ and 1 of the image, [−¼, ¾] and [0, 2] of its box; the margin is twice x + ¼ y, at least 0.
    expect(of('naturalSum')).toBeCloseTo(Math.log(1 + Math.exp(-1)), 14);
    expect(of('robustSum')).toBeCloseTo(Math.log(2), 14);
    expect([of('natural'), of('certified'), of('norm')]).toEqual([1, 0, 5.5]);
  });

  it('is by back-substitution that of the lines below the ReLUs, which may be below 0 where they are not', () => {
    // α is 1, so that the margin is at least 2 (x₁ − ½) + ½ (x₁ + x₂) ≥ 2½ · ¼ − 1 − ½ · ¼ = −½.
    const margin = 2.5 * 0.25 - 1 + 0.5 * -0.25;
    for (const relaxation of ['crown-ibp', 'crown'] as const)
      expect(sums(relaxation)('robustSum')).toBeCloseTo(Math.log(1 + Math.exp(-margin)), 14);
  });

  it('stands for each member and micro-batch by itself', () => {
    const twice = { ...members, points: Float64Array.of(...points, ...points.map((p) => 2 * p)) };
    const two = {
      ...on,
      images: Float64Array.of(...on.images, 0.1, 0.9),
      labels: Int32Array.of(0, 1),
      weight: Float64Array.of(0.5, 0.5),
    };
    const found = kernelLosses(loss, twice, two);
    expect(found.length).toBe(4 * LOSS_SUM_COUNT);
    expect(found.slice(0, LOSS_SUM_COUNT)[LOSS_SUMS.robustWeighted]).toBeCloseTo(Math.log(2) / 2, 14);
    expect(new Set(Array.from({ length: 4 }, (_, i) => found[i * LOSS_SUM_COUNT])).size).toBe(4);
  });
});

describe('the door to the loss kernel', () => {
  const run = (change: Partial<typeof on>, at: Partial<typeof members> = {}) =>
    kernelLosses(loss, { ...members, ...at }, { ...on, ...change });

  it('refuses images, labels, weights and members that do not fit the chain, in one line', () => {
    for (const label of [-1, 2])
      expect(() => run({ labels: Int32Array.of(label) })).toThrow(/expected labels of 0 to 1, got/);
    expect(() => run({ images: new Float64Array(3) })).toThrow(/micro-batches of 1 images of 2 pixels/);
    expect(() => run({ labels: new Int32Array(0), images: new Float64Array(0) })).toThrow(/micro-batches/);
    expect(() => run({ weight: new Float64Array(2) })).toThrow(/a weight for each image/);
    expect(() => run({}, { points: new Float64Array(13) })).toThrow(/members of 12 parameters each/);
    expect(() => run({}, { coordinates: 6 })).toThrow(/4 numbers of 2.weight within 6/);
    expect(() => run({}, { offsets: { ...members.offsets, '0.bias': -1 } })).toThrow(/of 0.bias within 12/);
  });

  it('refuses chains whose layers do not follow one another, or that are no layers', () => {
    const hostile = (change: Partial<KernelLoss>) => () => checkLoss({ ...loss, ...change });
    const [first, last] = loss.layers as [LossLayer, LossLayer];
    expect(hostile({})).not.toThrow();
    expect(hostile({ layers: [first, layer(3, 2, 2)] })).toThrow(/expected an input of 2×1×1, got 3×1×1/);
    expect(hostile({ layers: [{ ...first, stride: [0, 1] }, last] })).toThrow(/whole, positive extents/);
    expect(hostile({ layers: [{ ...first, padding: [-1, 0] }, last] })).toThrow(/whole, positive extents/);
    expect(hostile({ layers: [{ ...first, kernel: [Number.NaN, 1] }, last] })).toThrow(/whole, positive/);
    expect(hostile({ layers: [{ ...first, kernel: [2 ** 13, 2 ** 13] }, last] })).toThrow(
      /layers of at most 2097152/,
    );
    expect(hostile({ layers: [{ ...first, output: [2, 1, 2] }] })).toThrow(/a last layer that gives logits/);
    expect(hostile({ layers: [] })).toThrow(/logits/);
    expect(hostile({ batch: 0 })).toThrow(/a batch of 1 image at least/);
    expect(hostile({ normalization: [1] })).toThrow(/scale and shift of 2 channels/);
    expect(hostile({ relaxation: 'crown', layers: [first, layer(2, 2, 2), layer(2, 2, 4)] })).toThrow(
      /expected 1 chains of rows, got 0/,
    );
  });
});
