/** Whether tests notice the mistakes of `proof-mutants.ts`, one after the other. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { proofMutants } from '../testing/proof-mutants.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Exit code of a test, with a mistake or without. */
function tested(name: string, mutant: number | undefined): number | null {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.mutants.config.ts'];
  const MUTANTS_TESTS = JSON.stringify([`src/${name}.test.ts`]);
  const env = { ...process.env, MUTANTS_TESTS, PROOF_MUTANT: String(mutant ?? 'none') };
  return spawnSync(process.execPath, args, { cwd: ROOT, env }).status;
}

test.each(proofMutants.map((mutant, number) => ({ ...mutant, number })))(
  '$file: a test notices that $name',
  ({ file, test: noticing = file, from, number }) => {
    expect(readFileSync(join(ROOT, 'src', `${file}.ts`), 'utf8').split(from)).toHaveLength(2);
    expect(tested(noticing, number)).toBe(1);
  },
);

test.each([...new Set(proofMutants.map(({ file, test: noticing = file }) => noticing))])(
  '%s: without a mistake its test passes',
  (name) => {
    expect(tested(name, undefined)).toBe(0);
  },
);
