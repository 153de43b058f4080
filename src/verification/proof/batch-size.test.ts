import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { architecture, architectureNames } from '../../network/architectures.js';
import { joinLayer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { INPUT, network } from '../../network/network.js';
import { planFootprint } from '../../runtime/plan/memory.js';
import { createPrograms } from '../certification/programs.js';
import { batchFor, batchStages, largestBatch, whySkipped } from './batch-size.js';

describe('batch sizes', () => {
  test('are at least one image for every architecture and stage, fewer for larger networks', () => {
    const size = (name: (typeof architectureNames)[number], stage: (typeof batchStages)[number]) =>
      largestBatch(architecture(name, [3, 64, 64], 200), stage);
    for (const stage of batchStages) {
      for (const name of architectureNames) expect(size(name, stage)).toBeGreaterThanOrEqual(1);
      expect(size('cnn7', stage)).toBeLessThanOrEqual(size('cnn3', stage));
    }
  });

  test('on a device are as large as its memory allows: the programs, as they are compiled, stay within it', () => {
    const MB = 2 ** 20;
    const networks = [architecture('cnn3', [1, 28, 28], 10), architecture('fc-small', [1, 28, 28], 10)];
    for (const net of networks)
      for (const stage of batchStages) {
        const batches = [20, 80, 320].map((megabytes) =>
          largestBatch(net, stage, { memory: megabytes * MB, array: 2 ** 30 }),
        );
        expect(batches, stage).toEqual([...batches].sort((a, b) => a - b));
        expect(largestBatch(net, stage, { memory: 2 ** 36, array: 2 ** 36 })).toBe(
          8 * largestBatch(architecture('fc-small', [1, 28, 28], 10), stage),
        );
        const programs = createPrograms(net, true);
        const plan = (batch: number) =>
          stage === 'natural'
            ? programs.forward(batch)
            : stage === 'attack'
              ? programs.attack(batch).plan
              : programs.bound(stage, batch);
        expect(
          planFootprint(plan(batches[0] as number)).peak,
          `${net.name} ${stage} ${batches[0]}`,
        ).toBeLessThanOrEqual(20 * MB);
        const short = largestBatch(net, stage, { memory: 2 ** 40, array: MB });
        // CROWN's rows have a size of their own, whatever the batch.
        const least = planFootprint(plan(1)).largest;
        if (stage !== 'crown')
          expect(planFootprint(plan(short)).largest, `${net.name} ${stage} ${short}`).toBeLessThanOrEqual(
            Math.max(MB, least),
          );
      }
  });

  test('of CROWN on a device count that its slopes grow with the square of the layers', () => {
    const net = architecture('cnn5', [3, 32, 32], 10);
    const memory = 150 * 2 ** 20;
    const batch = largestBatch(net, 'crown', { memory, array: 2 ** 30 });
    expect(planFootprint(createPrograms(net, true).bound('crown', batch)).peak).toBeLessThanOrEqual(memory);
  });

  test('on a device take all images that there are', () => {
    expect(batchFor(256, 100)).toBe(32);
    expect(batchFor(256, 100, 1)).toBe(128);
    expect(batchFor(64, 100, 1)).toBe(64);
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
