import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { architecture, architectureNames } from '../network/architectures.js';
import { joinLayer, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { INPUT, network } from '../network/network.js';
import { batchFor, largestBatch, whySkipped } from './batch-size.js';
import { batchStages } from './verdict.js';

describe('batch sizes', () => {
  test('are at least one image for every architecture and stage, fewer for larger networks', () => {
    const size = (name: (typeof architectureNames)[number], stage: (typeof batchStages)[number]) => largestBatch(architecture(name, [3, 64, 64], 200), stage);
    for (const stage of batchStages) {
      for (const name of architectureNames) expect(size(name, stage)).toBeGreaterThanOrEqual(1);
      expect(size('cnn7', stage)).toBeLessThanOrEqual(size('cnn3', stage));
    }
  });

  test('waste less than half of a program on few images, and never exceed the largest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 1, max: 10_000 }), (power, count) => {
        const size = batchFor(2 ** power, count);
        expect(size).toBeGreaterThanOrEqual(1);
        expect(size).toBeLessThanOrEqual(2 ** power);
        expect(Math.ceil(count / size) * size).toBeLessThan(2 * count + 1);
      }),
    );
  });

  test('dense CROWN is left out where its coefficients would fill the memory, and only there', () => {
    const residual = (width: number) =>
      network(
        'residual',
        [width, 1, 1],
        [
          { layer: reluLayer([width, 1, 1]), inputs: [INPUT] },
          { layer: joinLayer([width, 1, 1]), inputs: [0, INPUT] },
          { layer: linearLayer([width, 1, 1], 10), inputs: [1] },
        ],
      );
    expect(whySkipped(residual(100), 'crown')).toBeUndefined();
    expect(whySkipped(residual(20_000), 'crown')).toContain('memory');
    expect(whySkipped(residual(20_000), 'ibp')).toBeUndefined();
    expect(whySkipped(architecture('cnn7', [3, 64, 64], 200), 'crown')).toBeUndefined();
  });
});
