import { afterAll, describe, expect, test } from 'vitest';
import { ball } from '../../attack/box.js';
import { createPool } from '../../runtime/pool/pool.js';
import { certifiedSet, doubleLogits } from '../../testing/certified-sets.js';
import { uniformNumbers } from '../../testing/numbers.js';
import type { BoundStage } from '../proof/batch-size.js';
import { createContext } from '../proof/context.js';
import { lowerBounds } from './bound-stage.js';
import { createEvaluation } from './evaluation.js';

const pool = createPool(1);
afterAll(() => pool.close());

const [COUNT, FEATURES, CLASSES, EPSILON, SAMPLES] = [12, 25, 3, 0.02, 40];

/** Bounds of all images, in batches that leave columns over, of a float32 or a float64 file. */
async function boundsOf(stage: BoundStage, mode: { double?: boolean; sound?: boolean } = {}, factor = 1) {
  const set = await certifiedSet(5, COUNT);
  const { network, parameters, split } = set;
  // Those of the last layer are the file's own, as float32 does not have them.
  const exact = Object.fromEntries(
    Object.entries(parameters)
      .filter(([name]) => name.startsWith(`${network.nodes.length - 1}.`))
      .map(([name, of]) => [name, Float64Array.from(of, (w) => factor * w)]),
  );
  const context = createContext({ network, parameters, exact, pool });
  const evaluation = createEvaluation(context, split, { epsilon: EPSILON, clip: true }, mode);
  const images = Array.from({ length: COUNT }, (_, image) => image);
  const found = [
    ...(await lowerBounds(evaluation, stage, images.slice(0, 7), 8)),
    ...(await lowerBounds(evaluation, stage, images.slice(7), 8)),
  ];
  return { set, found };
}

describe('lower bounds of the margins of images', () => {
  test.each([
    ['ibp', {}],
    ['crown', {}],
    ['crown', { double: true }],
    ['ibp', { sound: true }],
    ['crown-ibp', { sound: true }],
    ['crown', { sound: true }],
  ] as const)('by %s, %j, are below every sampled margin, class by class in order', async (stage, mode) => {
    const { set, found } = await boundsOf(stage, mode);
    const labels = Array.from(set.split.labels);
    // All labels, so that the classes beside each of them are others.
    expect(new Set(labels).size).toBe(CLASSES);
    for (const [image, { margins, smallest }] of found.entries()) {
      const bytes = set.split.images.subarray(image * FEATURES, (image + 1) * FEATURES);
      const { lower, upper } = ball(
        Float32Array.from(bytes, (byte) => byte / 255),
        EPSILON,
      );
      const points = Array.from(uniformNumbers(`corners ${image}`, SAMPLES * FEATURES), (u, k) =>
        u < 0.5 ? (lower[k % FEATURES] as number) : (upper[k % FEATURES] as number),
      );
      const values = await doubleLogits(set.network, set.parameters, points);
      const label = labels[image] as number;
      const others = [0, 1, 2].filter((j) => j !== label);
      expect(margins).toHaveLength(CLASSES - 1);
      expect(smallest).toBe(Math.min(...margins));
      for (const [row, j] of others.entries())
        for (let k = 0; k < SAMPLES; k++) {
          const margin = (values[label * SAMPLES + k] as number) - (values[j * SAMPLES + k] as number);
          expect(margins[row]).toBeLessThan(margin + 1e-5);
        }
    }
  });

  test('of a float64 file are those of CROWN, less what rounding takes', async () => {
    const single = await boundsOf('crown');
    for (const factor of [1, 2])
      (await boundsOf('crown', { double: true }, factor)).found.forEach(({ margins }, image) => {
        margins.forEach((bound, row) => {
          expect(bound / factor).toBeCloseTo(single.found[image]?.margins[row] as number, 3);
        });
      });
  });

  test('are no numbers below any where arithmetic overflows', async () => {
    const set = await certifiedSet(5, 1);
    const huge = Object.fromEntries(
      Object.entries(set.parameters).map(([name, of]) => [name, Float32Array.from(of, (w) => w * 1e30)]),
    );
    const context = createContext({ ...set, parameters: huge, pool });
    const evaluation = createEvaluation(context, set.split, { epsilon: EPSILON, clip: true });
    const [found] = await lowerBounds(evaluation, 'ibp', [0], 1);
    expect(found?.smallest).toBe(Number.NEGATIVE_INFINITY);
  });
});
