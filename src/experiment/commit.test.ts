import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../testing/tautnet-process.js';
import { commitOrVersion } from './commit.js';
import { VERSION } from './version.js';

test('a result names the commit of the clone that computed it, or the version where there is none', () => {
  if (!existsSync(join(ROOT, '.git'))) return expect(commitOrVersion()).toBe(VERSION);
  const head = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT }).toString().trim();
  const [commit = '', dirty] = commitOrVersion().split('-');
  expect(head.startsWith(commit) && commit.length >= 7).toBe(true);
  expect(['dirty', undefined]).toContain(dirty);
});
