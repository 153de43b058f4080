import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { checkerMutants } from '../src/testing/checker-mutants.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Exit code of the test beside a file, with a mistake or without. */
function tested(file: string, mutant: number | undefined): number | null {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.checker.config.ts'];
  const env = { ...process.env, CHECKER_MUTANT: String(mutant ?? 'none') };
  return spawnSync(process.execPath, [...args, `checker/${file}.test.ts`], { cwd: ROOT, env }).status;
}

test.each(checkerMutants.map((mutant, number) => ({ ...mutant, number })))(
  '$file: a test notices that $name',
  ({ file, test: noticing = file, from, number }) => {
    expect(readFileSync(join(ROOT, 'checker', `${file}.js`), 'utf8').split(from)).toHaveLength(2);
    expect(tested(noticing, number)).toBe(1);
  },
);

test.each(['bounds', 'check', 'onnx', 'vnnlib'])('%s: without a mistake its test passes', (file) => {
  expect(tested(file, undefined)).toBe(0);
});
