import { describe, expect, test } from 'vitest';
import { recordedIo } from '../testing/io.js';
import { COMMANDS } from './commands.js';
import { run } from './program.js';

async function refused(argv: readonly string[]): Promise<{ code: number; line: string }> {
  const { io, stderr, stdout } = recordedIo();
  const code = await run(argv, COMMANDS, io);
  expect(stdout()).toBe('');
  expect(stderr().trimEnd().split('\n').length).toBe(1);
  return { code, line: stderr().trimEnd() };
}

describe('a mistake is one line and code 2, before any work', () => {
  test.each([
    [['sweep'], 'sweep: expected a file or --resume, one of the two'],
    [['sweep', 'a.yaml', '--resume', 'runs/a'], 'sweep: expected a file or --resume, one of the two'],
    [['sweep', 'no-such.yaml'], 'cannot read no-such.yaml: no such file or folder'],
    [['sweep', '--resume', 'no-such'], 'no-such: expected the folder of a sweep, it has no sweep.json'],
    [['sweep', 'a.yaml', '--parallel', '0'], '--parallel: expected a whole number of at least 1, got "0"'],
    [
      ['reproduce', 'everything'],
      'claim: expected one of paradox, pgpe, rgs, beyond or all, got "everything"',
    ],
    [['reproduce', 'all', '--scale', 'huge'], '--scale: expected one of smoke, small, paper, got "huge"'],
    [['reproduce', 'all', '--seeds', '1.5'], '--seeds: expected a whole number of at least 1, got "1.5"'],
  ])('%j', async (argv, line) => {
    expect(await refused(argv)).toEqual({ code: 2, line: expect.stringContaining(`tautnet: ${line}`) });
  });
});
