import { describe, expect, it } from 'vitest';
import { constant, evaluate } from '../graph/index.js';
import { keyOf } from '../runtime/random/keys.js';
import { architecture } from './architectures.js';
import { batchNormNodes } from './folding.js';
import { type InitializationScheme, initialize } from './initialization.js';
import { scaleLayer } from './layers/scale.js';
import { chain, logits } from './network.js';
import { parameterLayout } from './parameters.js';

const net = architecture('fc', [1, 28, 28], 10);
const lastWeight = parameterLayout(net).findLast(({ shape }) => shape.length > 1)?.name;
const mean = (values: ArrayLike<number>, term: (v: number) => number): number =>
  Array.from(values, term).reduce((a, b) => a + b, 0) / values.length;

describe('initialisation', () => {
  it.each(['kaiming', 'ibp'] as const)(
    '%s gives every array of the network its size, the same for the same key and others for another',
    (scheme) => {
      const [first, again, other] = [
        initialize(net, scheme, keyOf(1)),
        initialize(net, scheme, keyOf(1)),
        initialize(net, scheme, keyOf(2)),
      ];
      expect(Object.entries(first).map(([name, { length }]) => [name, length])).toEqual(
        parameterLayout(net).map(({ name, size }) => [name, size]),
      );
      expect(again).toEqual(first);
      for (const { name, size } of parameterLayout(net)) {
        const equal = (first[name] as Float32Array).filter((v, i) => v === other[name]?.[i]).length;
        expect(equal).toBeLessThan(1 + size * 0.01);
      }
    },
  );

  it('arrays of equal shape do not repeat one another', () => {
    const twin = architecture('cnn7', [3, 8, 8], 10);
    const arrays = initialize(twin, 'kaiming', keyOf(1));
    expect(arrays['6.weight']).toHaveLength(arrays['8.weight']?.length ?? 0);
    expect(arrays['6.weight']).not.toEqual(arrays['8.weight']);
  });

  it('kaiming is uniform within ±1/√fan_in, weights and biases', () => {
    for (const network of [net, architecture('cnn3', [3, 32, 32], 10)]) {
      const arrays = initialize(network, 'kaiming', keyOf(3));
      for (const { name, size, fanIn } of parameterLayout(network)) {
        const scaled = (arrays[name] as Float32Array).map((v) => v * Math.sqrt(fanIn));
        const error = 5 / Math.sqrt(size);
        expect(scaled.every((v) => Math.abs(v) <= 1 + 1e-6)).toBe(true);
        expect(Math.abs(mean(scaled, (v) => v))).toBeLessThan(error * Math.sqrt(1 / 3));
        expect(Math.abs(mean(scaled, (v) => v * v) - 1 / 3)).toBeLessThan(error * Math.sqrt(4 / 45));
      }
    }
  });

  it('ibp has weights N(0, 2π/fan_in²) but in the last layer, and the biases of kaiming', () => {
    const [arrays, usual] = [initialize(net, 'ibp', keyOf(3)), initialize(net, 'kaiming', keyOf(3))];
    for (const { name, size, shape, fanIn } of parameterLayout(net)) {
      if (shape.length === 1 || name === lastWeight) {
        expect(arrays[name]).toEqual(usual[name]);
        continue;
      }
      const z = (arrays[name] as Float32Array).map((v) => (v * fanIn) / Math.sqrt(2 * Math.PI));
      const error = 5 / Math.sqrt(size);
      expect(Math.abs(mean(z, (v) => v))).toBeLessThan(error);
      expect(Math.abs(mean(z, (v) => v * v) - 1)).toBeLessThan(error * Math.SQRT2);
      expect(Math.abs(mean(z, (v) => v ** 4) - 3)).toBeLessThan(error * Math.sqrt(96));
    }
  });

  it('ibp keeps the width of intervals: a row of |W| sums to 2 on average; under kaiming to √fan_in/2', () => {
    for (const [scheme, expected] of [
      ['ibp', () => 2],
      ['kaiming', (fanIn: number) => Math.sqrt(fanIn) / 2],
    ] as const) {
      const arrays = initialize(net, scheme, keyOf(4));
      for (const { name, shape, fanIn } of parameterLayout(net)) {
        if (shape.length > 1 && name !== lastWeight)
          expect((mean(arrays[name] as Float32Array, Math.abs) * fanIn) / expected(fanIn)).toBeCloseTo(1, 1);
      }
    }
  });

  it('scale layers begin as the identity', () => {
    const net = chain('scaled', [2, 1, 1], [scaleLayer([2, 1, 1])]);
    const arrays = initialize(net, 'ibp', keyOf(1));
    const parameters = Object.fromEntries(
      Object.entries(arrays).map(([name, data]) => [name, constant(data)]),
    );
    expect([
      ...(evaluate([logits(net, parameters, constant([3, -4], [2, 1]))], {})[0] as Float64Array),
    ]).toEqual([3, -4]);
  });

  it('batch normalisations begin with γ = 1 and β = 0', () => {
    const normalised = architecture('cnn3-bn', [1, 8, 8], 10);
    const arrays = initialize(normalised, 'kaiming', keyOf(1));
    const nodes = batchNormNodes(normalised);
    expect(nodes).toHaveLength(2);
    for (const node of nodes) {
      expect(new Set(arrays[`${node}.weight`])).toEqual(new Set([1]));
      expect(new Set(arrays[`${node}.bias`])).toEqual(new Set([0]));
    }
  });

  it('refuses an unknown scheme', () => {
    expect(() => initialize(net, 'xavier' as InitializationScheme, keyOf(1))).toThrow(
      'expected one of kaiming, ibp, got xavier',
    );
  });
});
