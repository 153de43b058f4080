import { defineConfig } from 'vitest/config';
import { softwareDevice } from './src/testing/software-device.js';

/** The tests that `scripts/mutants.mjs` names; nothing is compiled, `dist/` is as it was built. */
export default defineConfig({
  test: {
    include: JSON.parse(process.env.MUTANTS_TESTS ?? '[]'),
    exclude: ['src/**/*.{slow,e2e}.test.ts'],
    setupFiles: ['src/testing/property-seed.ts'],
    testTimeout: 300_000,
    env: { ORT_DISABLE_TELEMETRY: '1', ...softwareDevice() },
  },
});
