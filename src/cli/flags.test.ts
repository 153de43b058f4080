import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recordedIo } from '../testing/io.js';
import { COMMANDS } from './commands.js';
import { makeProgram, run } from './program.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-flags-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const leavesOf = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
const leaves = leavesOf(makeProgram(COMMANDS, recordedIo().io));

/** What a command prints, with a run in a folder of its own. */
async function tautnet(...argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo({ TAUTNET_CACHE: join(folder, 'cache') });
  const code = await run(argv, COMMANDS, io);
  return { code, stdout: stdout(), stderr: stderr() };
}

describe('flags', () => {
  test('every command has --json and --quiet', () => {
    expect(leaves.length).toBeGreaterThan(6);
    for (const { options } of leaves)
      expect(options.map(({ long }) => long)).toEqual(expect.arrayContaining(['--json', '--quiet']));
  });

  test('a name means the same and has the same unit in every command', () => {
    const units = new Map<string, Set<string>>();
    // Options of supports are names of capabilities, as the VNN-LIB standard has them, among them options'.
    const settings = leaves.filter((command) => command.name() !== 'supports');
    for (const { flags, long } of settings.flatMap(({ options }) => options))
      units.set(long as string, (units.get(long as string) ?? new Set()).add(flags));
    expect([...units.values()].filter(({ size }) => size > 1)).toEqual([]);
    for (const [name, flags] of [
      ['--timeout', '--timeout <seconds>'],
      ['--memory', '--memory <megabytes>'],
      ['--out', '--out <path>'],
      ['--sound', '--sound'],
    ])
      expect([...(units.get(name as string) ?? [])]).toEqual([flags]);
  });

  test.each([
    [['presets'], 'presets'],
    [['presets', 'MNIST-0.1/cnn3/IBP'], 'dataset'],
    [['data', 'list'], 'datasets'],
    [['data', 'check', 'MNIST'], 'classes'],
    [['devices'], 'auto'],
    [['completion', 'bash'], 'script'],
  ])('%j --json prints one object and nothing else, with --quiet nothing beside it', async (argv, key) => {
    const { code, stdout, stderr } = await tautnet(...argv, '--json', '--quiet');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toHaveLength(2);
    expect(Object.keys(JSON.parse(stdout))).toContain(key);
  });

  test('train, certify and verify print only the result with --quiet, and errors', async () => {
    const out = join(folder, 'run');
    const recipe = '--architecture fc-small --train-limit 64 --batch-size 32 --epochs 1'.split(' ');
    const trained = await tautnet('train', ...recipe, '--out', out, '--json', '--quiet');
    expect([trained.code, trained.stderr]).toEqual([0, '']);
    expect(JSON.parse(trained.stdout)).toMatchObject({ run: out, epochs: 1, metrics: { epoch: 1 } });
    expect(await tautnet('train', ...recipe, '--out', `${out}-2`, '--quiet')).toEqual({
      ...{ code: 0, stdout: `${out}-2\n`, stderr: '' },
    });
    const certified = await tautnet('certify', out, '--limit', '5', '--quiet', '--json');
    expect(certified.stderr).toBe('');
    expect(JSON.parse(certified.stdout)).toMatchObject({ images: 5 });
    const verified = await tautnet('verify', out, '--index', '0', '--epsilon', '0.0001', '--quiet');
    expect([verified.stderr, verified.stdout]).toEqual(['', expect.stringMatching(/^(unsat|sat)\n/)]);
    const refused = await tautnet('train', '--resume', out, '--quiet');
    expect([refused.code, refused.stdout]).toEqual([2, '']);
    expect(refused.stderr).toContain('tautnet: --resume: expected an unfinished run');
  });

  test('may stand before the command', async () => {
    expect(await tautnet('--quiet', '--json', 'data', 'list')).toEqual(
      await tautnet('data', 'list', '--quiet', '--json'),
    );
    expect((await tautnet('--json')).code).toBe(2);
  });

  test('former names are understood and not listed', async () => {
    const missing = join(folder, 'nowhere', 'v.jsonl');
    const { stderr } = await tautnet('certify', join(folder, 'run'), '--verdicts', missing);
    expect(stderr).toContain('--out: expected a file in a folder that exists');
    expect((await tautnet('certify', '--help')).stdout).not.toMatch(/--verdicts|--timeout-per-image/);
    expect((await tautnet('verify', '--help')).stdout).not.toContain('--results');
  });
});
