import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Percent of the changes; `CONTRIBUTING.md` has what it was. */
const LEAST = 60;

test(`tests notice at least ${LEAST} % of a sample of changes of the verifier and its relaxations`, () => {
  const args = ['scripts/mutants.mjs', '--break', `${LEAST}`, '--concurrency', '1'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  console.info(stdout.slice(stdout.lastIndexOf('Mutation testing')));
  expect(stderr).not.toContain('expected tests to notice');
  expect(status).toBe(0);
}, 3_600_000);
