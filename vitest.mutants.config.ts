import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { proofMutants } from './src/testing/proof-mutants.js';
import { softwareDevice } from './src/testing/software-device.js';

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
  },
});
