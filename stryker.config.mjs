/**
 * How Stryker tries changes of the code (`scripts/mutants.mjs` says of which lines): each by itself, with the
 * tests that reach it, until one fails. `dist/` comes along as it was built, for worker threads.
 */
export default {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutants.config.ts', related: false },
  // TypeScript 7 has no interface to rewrite its configuration with; nothing in it needs that.
  tsconfigFile: 'none.json',
  // vitest looks at no type: no file is rewritten to switch that off.
  disableTypeChecks: false,
  coverageAnalysis: 'perTest',
  // What is computed as a module is loaded would have to be tried with all tests.
  ignoreStatic: true,
  // Loops without end are counted and end early; this is for promises that nobody keeps.
  timeoutMS: 15_000,
  timeoutFactor: 5,
  dryRunTimeoutMinutes: 60,
  reporters: ['progress-append-only'],
  allowEmpty: true,
  tempDirName: '.stryker-tmp',
  ignorePatterns: ['site', 'docs', '.git', '.github', 'presets', 'bench', 'examples', 'runs', 'reports'],
};
