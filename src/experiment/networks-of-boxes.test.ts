import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeOnnx, type OnnxModel } from '../formats/onnx.js';
import { openModel } from '../runtime/execution/model.js';
import { createPool } from '../runtime/pool/pool.js';
import { onnxOracle } from '../testing/onnx-oracle.js';
import { leastReached } from '../testing/reached-outputs.js';
import { boxOfSets, type SetRecipe, setNetwork, setRecipes } from '../testing/set-networks.js';
import type { Polytope, Property } from '../verification/property/property.js';
import { verifyBoxes } from '../verification/search/verify-boxes.js';
import { networksOfBoxes } from './networks-of-boxes.js';

const pool = createPool(1);
afterAll(() => pool.close());

/** y_0 ≤ what is reached plus a gap, on each box of a recipe: unsafe with a gap above 0, else perhaps not. */
function propertyOf(recipe: SetRecipe, gap: number): Property {
  const { shape, counts } = recipe;
  const oracle = onnxOracle(setNetwork(shape));
  const polytopes = counts.map((_, k): Polytope => {
    const box = boxOfSets(recipe, k);
    const least = leastReached((x) => oracle(x).values[0] as number, box, { seed: `${shape.seed} ${k}` });
    return { box, unsafe: [{ outputs: Float64Array.of(1), bound: least.value + gap }] };
  });
  const inputs = (polytopes[0] as Polytope).box.lower.length;
  return { inputs, outputs: 1, polytopes };
}

async function verdictOf(model: OnnxModel, property: Property, sound: boolean, timeoutSeconds = 20) {
  const file = await openModel(encodeOnnx(model), property);
  try {
    const networks = networksOfBoxes(model, property, 'sets');
    const evaluate = (x: Float32Array) => file.run(x);
    return await verifyBoxes({ networks, property, evaluate, pool, sound, timeoutSeconds });
  } finally {
    await file.close();
  }
}

describe('networks over sets', () => {
  test('are never proved where a float64 evaluator reaches what is unsafe', async () => {
    const counts: Record<string, number> = {};
    await fc.assert(
      fc.asyncProperty(setRecipes, fc.boolean(), async (recipe, sound) => {
        const { verdict } = await verdictOf(setNetwork(recipe.shape), propertyOf(recipe, 0), sound, 2);
        counts[verdict] = (counts[verdict] ?? 0) + 1;
        expect(verdict).not.toBe('unsat');
      }),
      { numRuns: 6 },
    );
    expect(counts.sat ?? 0).toBeGreaterThan(0);
  }, 120_000);

  test('are proved where the unsafe outputs lie beyond what is reached, in both modes', async () => {
    await fc.assert(
      fc.asyncProperty(setRecipes, fc.boolean(), async (recipe, sound) => {
        const property = propertyOf(recipe, -0.05);
        expect(await verdictOf(setNetwork(recipe.shape), property, sound)).toMatchObject({
          verdict: 'unsat',
        });
      }),
      { numRuns: 6 },
    );
  }, 120_000);

  test('are refuted by a point of the box that the file itself confirms', async () => {
    await fc.assert(
      fc.asyncProperty(setRecipes, async (recipe) => {
        const model = setNetwork(recipe.shape);
        const property = propertyOf(recipe, 0.05);
        const { verdict, counterexample } = await verdictOf(model, property, false);
        expect(verdict).toBe('sat');
        const { input, output, polytope } = counterexample as NonNullable<typeof counterexample>;
        const { box, unsafe } = property.polytopes[polytope] as Polytope;
        expect(input.every((x, i) => x >= (box.lower[i] as number) && x <= (box.upper[i] as number))).toBe(
          true,
        );
        const { values, errors } = onnxOracle(model)(Float32Array.from(input), 2 ** -24);
        const slack = 2 * (errors[0] as number);
        expect(Math.abs((values[0] as number) - (output[0] as number))).toBeLessThanOrEqual(slack);
        expect(output[0]).toBeLessThanOrEqual(unsafe[0]?.bound as number);
      }),
      { numRuns: 6 },
    );
  }, 120_000);
});
