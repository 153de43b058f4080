/**
 * `npm run mutants [-- --mutate src/FILE.ts]`: each change of a proof's code that Stryker tries must make a test
 * beside it fail. The score is the share of changes that do.
 */
export default {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutants.config.ts', related: false },
  // Those that decide what counts as a proof, and few enough for minutes.
  mutate: [
    'src/verification/proof/{rounding,ladder,counterexample}.ts',
    'src/verification/branch-and-bound/{allowance,rounding-error,worst-first}.ts',
    'src/relaxation/intersection.ts',
  ],
  // TypeScript 7 has no interface to rewrite its configuration with; nothing in it needs that.
  tsconfigFile: 'none.json',
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  concurrency: 1,
  timeoutMS: 60_000,
  reporters: ['clear-text', 'progress-append-only'],
  tempDirName: '.stryker-tmp',
  ignorePatterns: ['site', 'docs', 'dist', '.git', 'presets'],
};
