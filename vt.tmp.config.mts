import { defineConfig } from 'vitest/config';
export default defineConfig({
  test: {
    include: ['checker/**/*.test.ts'],
    setupFiles: ['src/testing/property-seed.ts'],
    testTimeout: 300000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
