import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recordedIo } from '../testing/io.js';
import { makeLandscapeCommand } from './landscape.js';
import { run } from './program.js';

async function tautnet(...argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo();
  const code = await run(['landscape', ...argv], [makeLandscapeCommand], io);
  return { code, stdout: stdout(), stderr: stderr() };
}

describe('tautnet landscape', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-landscape-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const small = [
    '--random',
    '--architecture',
    'fc-small',
    '--batch-size',
    '2',
    '--points',
    '3',
    '--samples',
    '2',
  ];

  test('draws a network at random and prints its measures', async () => {
    const out = join(folder, 'a.svg');
    const { code, stdout, stderr } = await tautnet(...small, '--relaxations', 'ibp,crown-ibp', '--out', out);
    expect([code, stderr]).toEqual([0, `drawn in ${out}\n`]);
    expect(stdout).toMatch(/at initialisation, crown-ibp +0\.001 /);
    expect(await readFile(out, 'utf8')).toContain('at initialisation: smoothed, σ = 0.001');
  });

  test('--json is one object, the same for the same seed', async () => {
    const out = join(folder, 'b.csv');
    const arguments_ = [...small, '--relaxations', 'ibp', '--plane', '3', '--json', '--out', out];
    const { stdout } = await tautnet(...arguments_);
    const found = JSON.parse(stdout);
    expect(found.subjects[0].line.curves).toHaveLength(2);
    expect((await tautnet(...arguments_, '--threads', '1')).stdout).toBe(stdout);
    expect(await readFile(join(folder, 'b.plane-1.csv'), 'utf8')).toMatch(/contours,ibp/);
  });

  test.each([
    [[], 'expected a run or --random, give one of them'],
    [['runs/none'], 'runs/none: expected the folder of a run, there is nothing'],
    [['--random', '--points', '4'], '--points: expected an odd number of at least 3, got 4'],
    [
      ['--random', '--sigmas', '0,x'],
      '--sigmas: expected numbers of at least 0 separated by commas, got "x"',
    ],
    [['--random', '--relaxations', 'krown'], '--relaxations: relaxation krown: expected one of ibp'],
    [['--random', '--out', 'a.pdf'], '--out: expected a name that ends in .svg, .png, .csv, got a.pdf'],
    [['--random', '--out', 'none/a.svg'], '--out: expected a file in a folder that exists'],
    [['--random', '--architecture', 'cnn7-bn'], 'expected a network without batch normalisation'],
    [['a-run', '--dataset', 'mnist'], '--dataset: expected --random beside it'],
  ])('%j is refused in one line', async (argv, line) => {
    const { code, stderr } = await tautnet(...argv);
    expect(code).toBe(2);
    expect(stderr).toContain(line);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
