import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ROOT } from './testing/tautnet-process.js';

const execute = promisify(execFile);

test('the packed tarball works in an empty folder: 60 packages, doors, types, README’s example', async () => {
  const { stdout } = await execute(process.execPath, [join(ROOT, 'scripts', 'check-install.mjs')]);
  expect(stdout).toMatch(/tautnet .*: \d+ packages, README's example ran\n$/);
});
