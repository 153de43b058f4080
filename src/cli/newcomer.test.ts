import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freeFolder } from '../experiment/run/run-folder.js';
import { parseConfig } from '../experiment/settings/config-file.js';
import { resolveSettings } from '../experiment/settings/resolve-settings.js';
import { recordedIo } from '../testing/io.js';
import { COMMANDS } from './commands.js';
import { run } from './program.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-newcomer-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function tautnet(...argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo({ TAUTNET_CACHE: join(folder, 'cache') });
  const code = await run(argv, COMMANDS, io);
  return { code, stdout: stdout(), stderr: stderr() };
}

describe('a new user', () => {
  test.each([
    [['--help']],
    [['train', '--help']],
    [['certify', '--help']],
    [['verify', '--help']],
    [['completion', '--help']],
  ])('reads %j on one screen', async (argv) => {
    const { code, stdout } = await tautnet(...argv);
    expect(code).toBe(0);
    expect(stdout.split('\n').length).toBeLessThanOrEqual(51);
  });

  test('finds every setting, under headings, with --help-all', async () => {
    const { stdout } = await tautnet('train', '--help-all');
    for (const text of ['Objective:', 'Smoothing:', '--sigma-decay-until', '--micro-batch'])
      expect(stdout).toContain(text);
    expect((await tautnet('train', '--help')).stdout).not.toContain('--micro-batch');
  });

  test.each([
    [['--eps', '7'], '--epsilon: expected'],
    [['--lr=fast'], '--learning-rate: expected'],
    [['--arch', 'transformer'], '--architecture: expected'],
    [['--model', 'transformer'], '--architecture: expected'],
    [['--method', 'crown'], 'crown is a relaxation, did you mean --relaxation crown?'],
    [['--relaxation', 'SABR'], 'sabr is a method, did you mean --method sabr?'],
    [['--preset', 'MNIST-0.1/cnn3/IBP', '--lr', 'fast'], '--learning-rate: expected'],
    [['--architecture', 'adam'], 'adam is an optimizer, did you mean --optimizer adam?'],
    [['--method', 'IBP+x'], '--method: expected'],
    [['--dataset', 'MNIST', '--lr', 'fast'], '--learning-rate: expected'],
  ])('is understood with train %j', async (argv, line) => {
    const { code, stderr } = await tautnet('train', ...argv);
    expect([code, stderr]).toEqual([2, expect.stringContaining(line)]);
  });

  test('is understood in a file as on the command line', () => {
    expect(parseConfig('relaxation: CROWN-IBP\ndataset: Mnist', 'a.yaml').given).toEqual({
      relaxation: 'crown-ibp',
      dataset: 'mnist',
    });
    expect(() => parseConfig('method: crown', 'a.yaml')).toThrow(
      /^a\.yaml, line 1, column 9: method: expected one of .*, got "crown"; crown is a relaxation, did you mean relaxation: crown\?$/,
    );
  });

  test('finds runs apart by their names, and a second one beside the first', async () => {
    expect(resolveSettings({ epsilon: 2 / 255, seed: 3, smoothing: 'rgs' }).out).toBe(
      'runs/mnist-cnn3-ibp-rgs-eps0.00784-seed3',
    );
    const name = join(folder, 'run');
    expect(freeFolder(name)).toBe(name);
    await mkdir(name);
    await mkdir(`${name}-2`);
    expect(freeFolder(name)).toBe(`${name}-3`);
  });
});
