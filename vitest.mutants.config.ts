import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { proofMutants } from './src/testing/proof-mutants.js';
import { softwareDevice } from './src/testing/software-device.js';

/** Longest time of each file of tests so far, in milliseconds: where one fails, it ended early. */
const took = new Map<string, number>();

/** The quickest file of tests first: mostly it is enough, and the others are not run then. */
class QuickestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    for (const { moduleId, project } of files) {
      const key = `${project.name}:${relative(this.ctx.config.root, moduleId)}`;
      const { duration = 0 } = this.ctx.cache.getFileTestResults(key) ?? {};
      took.set(moduleId, Math.max(duration, took.get(moduleId) ?? 0));
    }
    const timeOf = ({ moduleId }: TestSpecification) => took.get(moduleId) as number;
    return files.toSorted((a, b) => timeOf(a) - timeOf(b));
  }
}

const mutant = proofMutants[Number(process.env.PROOF_MUTANT)];

/**
 * The tests MUTANTS_TESTS, as they are tried on changed code: Stryker's (`scripts/mutants.mjs`), or number
 * PROOF_MUTANT of `proof-mutants.ts`. Nothing is compiled, `dist/` is as it was built.
 */
export default defineConfig({
  plugins: [
    {
      name: 'proof mutant',
      enforce: 'pre',
      load: (id) =>
        mutant && id.endsWith(`/src/${mutant.file}.ts`)
          ? readFileSync(id, 'utf8').replace(mutant.from, () => mutant.to)
          : undefined,
    },
  ],
  test: {
    include: JSON.parse(process.env.MUTANTS_TESTS ?? '[]'),
    exclude: ['src/**/*.{slow,e2e}.test.ts'],
    setupFiles: ['src/testing/property-seed.ts', 'src/testing/first-failure.ts'],
    // On a loaded machine; what never ends is Stryker's to end.
    testTimeout: 1_800_000,
    env: { ORT_DISABLE_TELEMETRY: '1', ...softwareDevice() },
    bail: 1,
    sequence: { sequencer: QuickestFirst },
  },
});
