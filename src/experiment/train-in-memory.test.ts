import { beforeAll, describe, expect, test } from 'vitest';
import type { Dataset, Split } from '../data/dataset.js';
import { loadDataset } from '../data/index.js';
import { exportOnnx } from '../network/onnx/export.js';
import { importOnnx } from '../network/onnx/import.js';
import { certify } from '../verification/certification/cascade.js';
import { type EpochCourse, type MemoryTraining, trainInMemory } from './train-in-memory.js';

let mnist: Dataset;
let given: MemoryTraining;
const first = ({ images, labels }: Split, count: number): Split => ({
  images: images.slice(0, 784 * count),
  labels: labels.slice(0, count),
  count,
});
beforeAll(async () => {
  mnist = await loadDataset('mnist');
  given = { train: first(mnist.train, 400), held: first(mnist.test, 100), description: mnist, epochs: 4 };
});

describe('training in memory', () => {
  test('tells its course, learns what is proved afterwards, and gives the same bits again', async () => {
    const courses: EpochCourse[] = [];
    const { network, parameters } = await trainInMemory({ ...given, watch: (one) => courses.push(one) });
    expect(courses.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    const last = courses.at(-1) as EpochCourse;
    expect(last.epsilon).toBeCloseTo(0.1, 6);
    expect(last.natural).toBeGreaterThan(0.5);
    expect(last.certified).toBeLessThanOrEqual(last.natural);
    const split = given.held;
    const report = await certify({ network, parameters, split, epsilon: 0.1, relaxation: 'ibp', threads: 1 });
    // The course counts margins above zero, a proof allows for rounding.
    expect(report.natural).toBeCloseTo(last.natural, 6);
    expect(report.certified).toBeLessThanOrEqual(last.certified + 1e-6);
    expect(report.certified).toBeGreaterThan(last.certified - 0.02);
    expect((await trainInMemory(given)).parameters).toEqual(parameters);
    const { parameters: exported } = importOnnx(exportOnnx(network, parameters));
    const sizes = (arrays: object) => Object.values(arrays).map((array: Float32Array) => array.length);
    expect(sizes(exported)).toEqual(sizes(parameters));
  });

  test('refuses batch normalisation, whose statistics it does not keep', async () => {
    await expect(trainInMemory({ ...given, architecture: 'cnn3-bn' })).rejects.toThrow(
      'expected an architecture without batch normalisation, got cnn3-bn',
    );
  });
});
