import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Percent of the changes that tests must notice. */
const LEAST = 80;
const TWO_HOURS = 7_200_000;

test(
  `tests notice at least ${LEAST} % of a sample of changes of the verifier and its relaxations`,
  async () => {
    const args = ['scripts/mutants.mjs', '--break', `${LEAST}`];
    // Ends with an error below that share; its output, which is long, has the score of each file.
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, maxBuffer: 2 ** 26 });
    const scores = stdout.split('\n').filter((line) => / % +\d+ of /.test(line));
    console.info(scores.join('\n'));
    expect(scores.at(-1)).toContain('in all');
  },
  TWO_HOURS,
);
