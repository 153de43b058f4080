/**
 * Proofs against what random files reach: 30 seconds of it here, as long as asked for by `npm run fuzz:verify`.
 */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { createPool, type Pool } from '../../runtime/pool/pool.js';
import { buildFile, type FileRecipe, fileRecipes } from '../../testing/random-files.js';
import { tryReached } from '../../testing/reached-proofs.js';

const SECONDS = Number(process.env.TAUTNET_FUZZ_SECONDS ?? 30);
/** Files after which workers begin anew, without the programs of earlier files. */
const FILES = 25;
/** A search for each row and mode; its bounds are what counts, not its end. */
const SEARCH_SECONDS = 0.15;

let pool: Pool | undefined;
let uses = 0;
afterAll(() => pool?.close());

async function freshPool(): Promise<Pool> {
  if (pool !== undefined && uses++ < FILES) return pool;
  await pool?.close();
  uses = 0;
  pool = createPool(1);
  return pool;
}

test(
  'no proof of any mode contradicts what a random file reaches, and our reading of it is what ONNX Runtime computes',
  async () => {
    const counts = { files: 0, searches: 0, settled: 0 };
    let worst = 0;
    await fc.assert(
      fc.asyncProperty(fileRecipes, async (recipe: FileRecipe) => {
        const trial = await tryReached(buildFile(recipe), await freshPool(), {
          seed: `${recipe.seed}`,
          seconds: SEARCH_SECONDS,
        });
        counts.files++;
        counts.searches += trial.searches;
        counts.settled += trial.settled;
        worst = Math.max(worst, trial.runtimeError);
        expect(trial.contradictions).toEqual([]);
        expect(trial.runtimeError).toBeLessThanOrEqual(1);
      }),
      { numRuns: 10 ** 7, interruptAfterTimeLimit: 1000 * SECONDS, endOnFailure: false },
    );
    console.info(`fuzz: ${JSON.stringify(counts)}, ORT at ${worst.toFixed(3)} of its worst case`);
    expect(counts.files).toBeGreaterThan(0);
  },
  1000 * (2 * SECONDS + 120),
);
