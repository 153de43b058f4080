import { defineConfig } from 'vitest/config';
import { softwareDevice } from './src/testing/software-device.js';

/** Tests that take minutes: `npm run test:slow`. */
export default defineConfig({
  test: {
    include: ['src/**/*.slow.test.ts', 'checker/**/*.slow.test.ts'],
    globalSetup: ['src/testing/build.ts'],
    setupFiles: ['src/testing/property-seed.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 900_000,
    hookTimeout: 60_000,
    env: { ORT_DISABLE_TELEMETRY: '1', ...softwareDevice() },
    reporters: ['default', './scripts/closing-line.ts'],
  },
});
