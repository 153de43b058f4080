import { defineConfig } from 'vitest/config';
import { softwareDevice } from './src/testing/software-device.js';

/** Tests beside what `npm run mutants` changes. */
export default defineConfig({
  test: {
    include: [
      'src/verification/proof/{rounding,running-error,ladder,counterexample}.test.ts',
      'src/verification/branch-and-bound/{allowance,rounding-error,worst-first}.test.ts',
      'src/relaxation/{activation-lines,intersection}.test.ts',
    ],
    exclude: ['src/**/*.slow.test.ts'],
    globalSetup: ['src/testing/build.ts'],
    setupFiles: ['src/testing/property-seed.ts'],
    testTimeout: 300_000,
    env: { ORT_DISABLE_TELEMETRY: '1', ...softwareDevice() },
  },
});
