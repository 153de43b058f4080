import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeOnnx } from '../formats/onnx.js';
import { openModel } from '../runtime/execution/model.js';
import { createPool } from '../runtime/pool/pool.js';
import { normalNumbers, uniformNumbers } from '../testing/numbers.js';
import { type Segmentation, segmentation } from '../testing/segmentation.js';
import type { Property } from '../verification/property/property.js';
import { verifyBoxes } from '../verification/search/verify-boxes.js';
import { networksOfBoxes } from './networks-of-boxes.js';

const pool = createPool(1);
afterAll(() => pool.close());

const recipes: fc.Arbitrary<Segmentation & { readonly radius: number }> = fc
  .record({
    seed: fc.integer({ min: 0, max: 2 ** 30 }),
    height: fc.integer({ min: 1, max: 4 }),
    width: fc.integer({ min: 2, max: 4 }),
    hidden: fc.integer({ min: 1, max: 4 }),
    radius: fc.constantFrom(0.001, 0.02, 0.2),
    skip: fc.boolean(),
  })
  // A branch of half the size needs even sides.
  .map((recipe) => ({ ...recipe, skip: recipe.skip && recipe.height % 2 === 0 && recipe.width % 2 === 0 }));

/** Images around one, with the mask that the file itself gives its middle but for a few pixels. */
async function problemOf(recipe: typeof recipes extends fc.Arbitrary<infer T> ? T : never) {
  const { seed, height, width, radius } = recipe;
  const pixels = height * width;
  const file = await openModel(encodeOnnx(segmentation(recipe)), { inputs: 4 * pixels, outputs: 1 });
  const scores = await openModel(encodeOnnx(segmentation(recipe, true)), {
    inputs: 4 * pixels,
    outputs: pixels,
  });
  const centre = new Float64Array(4 * pixels);
  centre.set(normalNumbers(`image ${seed}`, 3 * pixels));
  const lower = centre.map((v, i) => (i < 3 * pixels ? v - radius : v));
  const upper = centre.map((v, i) => (i < 3 * pixels ? v + radius : v));
  const turned = uniformNumbers(`mask ${seed}`, pixels);
  (await scores.run(centre)).forEach((score, p) => {
    const mask = score > 0 === (turned[p] as number) > 0.1 ? 1 : 0;
    lower[3 * pixels + p] = mask;
    upper[3 * pixels + p] = mask;
  });
  await scores.close();
  /** Counts that the file gives at places of the box. */
  const counts: number[] = [];
  for (let k = 0; k < 40; k++) {
    const shares = uniformNumbers(`place ${seed} ${k}`, lower.length);
    const x = lower.map((low, i) => {
      const share = shares[i] as number;
      return low + (k % 2 ? share : Math.round(share)) * ((upper[i] as number) - low);
    });
    counts.push((await file.run(x))[0] as number);
  }
  const property = (sign: 1 | -1, bound: number): Property => ({
    inputs: 4 * pixels,
    outputs: 1,
    polytopes: [{ box: { lower, upper }, unsafe: [{ outputs: Float64Array.of(sign), bound: sign * bound }] }],
  });
  const verdictOf = async (asked: Property, sound: boolean, timeoutSeconds = 3) => {
    const networks = networksOfBoxes(segmentation(recipe), asked, 'counting');
    const evaluate = (x: Float32Array) => file.run(x);
    return (await verifyBoxes({ networks, property: asked, evaluate, pool, sound, timeoutSeconds })).verdict;
  };
  return { counts, property, verdictOf, close: () => file.close() };
}

describe('files that count pixels', () => {
  test('are never proved to stay above a count that they reach, nor below one', async () => {
    const seen: Record<string, number> = {};
    await fc.assert(
      fc.asyncProperty(recipes, fc.boolean(), async (recipe, sound) => {
        const { counts, property, verdictOf, close } = await problemOf(recipe);
        const [least, most] = [Math.min(...counts), Math.max(...counts)];
        for (const asked of [property(1, least), property(-1, most)]) {
          const verdict = await verdictOf(asked, sound);
          seen[verdict] = (seen[verdict] ?? 0) + 1;
          expect(verdict).not.toBe('unsat');
        }
        await close();
      }),
      { numRuns: 10 },
    );
    expect(seen.sat ?? 0).toBeGreaterThan(0);
  }, 120_000);

  test('are proved on small boxes, in both directions', async () => {
    const proved: Record<string, number> = {};
    await fc.assert(
      fc.asyncProperty(recipes, fc.boolean(), async (recipe, sound) => {
        const { counts, property, verdictOf, close } = await problemOf({ ...recipe, radius: 0.001 });
        const [least, most] = [Math.min(...counts), Math.max(...counts)];
        for (const asked of [property(1, least - 2), property(-1, most + 2)]) {
          const verdict = await verdictOf(asked, sound, 60);
          proved[verdict] = (proved[verdict] ?? 0) + 1;
        }
        await close();
      }),
      { numRuns: 5 },
    );
    expect(proved.unsat).toBeGreaterThan(6);
    expect(proved.sat ?? 0).toBe(0);
  }, 600_000);
});
