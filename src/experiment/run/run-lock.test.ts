import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LOCK_NAMES, lockRun } from './run-lock.js';

test('a lock dated in the future is named as such, not waited for', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-lock-'));
  try {
    const lock = join(folder, LOCK_NAMES.lock);
    await mkdir(lock);
    // A process that is gone: numbers of processes do not go so far.
    await writeFile(join(folder, LOCK_NAMES.holder), '{"pid":2000000000,"host":"elsewhere"}');
    const future = new Date(1000 * Math.ceil(Date.now() / 1000 + 86_400));
    await utimes(lock, future, future);
    await expect(lockRun(folder)).rejects.toThrow(
      `${lock}: expected a lock dated until now, got one of ${future.toISOString()}`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
