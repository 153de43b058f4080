import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { lastWords } from './last-words.js';

const wordsOf = (...flags: string[]): string | undefined =>
  lastWords(spawnSync(process.execPath, flags, { encoding: 'utf8' }).stderr);

test('an error that nobody caught is what a process says last, not the version below it', () => {
  expect(wordsOf('-e', 'throw new RangeError("too wide\\nby three")')).toBe('RangeError: too wide');
  expect(wordsOf('--input-type=module', '-e', 'import "./no-such-file.js"')).toContain('Cannot find module');
  expect(wordsOf('--max-old-space-size=8', '-e', 'const a = []; for (;;) a.push({})')).toContain('heap');
  expect(wordsOf('-e', 'console.error("one"); console.error("two")')).toBe('two');
  expect(wordsOf('-e', '')).toBeUndefined();
});
