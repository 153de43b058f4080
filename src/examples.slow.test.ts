import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ROOT } from './testing/tautnet-process.js';

test('pgpe-exact.mjs trains one seed against ibp, lp and exact', async () => {
  const path = join(ROOT, 'examples', 'pgpe-exact.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [path, '1']);
  expect(stdout.match(/^\| 1 \| (ibp|lp|exact)-pgpe /gm)).toHaveLength(3);
});
