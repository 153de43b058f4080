import { expect, test } from 'vitest';
import { recordedIo } from '../testing/io.js';
import { COMMANDS } from './commands.js';
import { run } from './program.js';

async function supports(...argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo();
  const code = await run(['supports', ...argv], COMMANDS, io);
  return { code, stdout: stdout(), stderr: stderr() };
}

test('says what is decided, all of it or one feature', async () => {
  const { stdout } = await supports('--json');
  expect(JSON.parse(stdout)).toMatchObject({ 'vnnlib-version': ['1.0', '2.0'], networks: ['1'] });
  expect((await supports('operators')).stdout).toMatch(/^operators .*\bConv\b.*\bRelu\b/);
});

test('refuses a feature that it does not know', async () => {
  const { code, stderr } = await supports('flying');
  expect([code, stderr]).toEqual([2, expect.stringContaining('expected one of vnnlib-version')]);
});
