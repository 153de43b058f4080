import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Percent of the changes that tests must notice. */
const LEAST = 50;
const TWO_HOURS = 7_200_000;

test(
  `tests notice at least ${LEAST} % of a sample of changes of the verifier and its relaxations`,
  () => {
    const args = ['scripts/mutants.mjs', '--break', `${LEAST}`, '--concurrency', '1'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
    console.info(
      stdout
        .split('\n')
        .filter((line) => / % +\d+ of /.test(line))
        .join('\n'),
    );
    expect(status, stderr).toBe(0);
  },
  TWO_HOURS,
);
