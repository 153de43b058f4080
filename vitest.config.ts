import { defineConfig } from 'vitest/config';
import { softwareDevice } from './src/testing/software-device.js';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'checker/**/*.test.ts'],
    exclude: ['{src,checker}/**/*.slow.test.ts'],
    globalSetup: ['src/testing/build.ts'],
    setupFiles: ['src/testing/property-seed.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // What an idle machine does in half a minute takes several on a loaded one.
    testTimeout: 300_000,
    hookTimeout: 60_000,
    env: { ORT_DISABLE_TELEMETRY: '1', ...softwareDevice() },
    reporters: ['default', './scripts/closing-line.ts'],
  },
});
