import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { checkerMutants } from './src/testing/checker-mutants.js';

const mutant = checkerMutants[Number(process.env.CHECKER_MUTANT)];

/** The tests of `checker/`, perhaps with a mistake in it: number CHECKER_MUTANT of `checker-mutants.ts`. */
export default defineConfig({
  plugins: [
    {
      name: 'checker mutant',
      enforce: 'pre',
      load: (id) =>
        mutant && id.endsWith(`/checker/${mutant.file}.js`)
          ? readFileSync(id, 'utf8').replace(mutant.from, () => mutant.to)
          : undefined,
    },
  ],
  test: {
    include: ['checker/*.test.ts'],
    exclude: ['checker/*.slow.test.ts'],
    setupFiles: ['src/testing/property-seed.ts'],
    testTimeout: 300_000,
    env: { ORT_DISABLE_TELEMETRY: '1' },
    bail: 1,
  },
});
