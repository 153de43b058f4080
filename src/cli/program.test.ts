import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../experiment/errors.js';
import { configText } from '../experiment/settings/config-file.js';
import { resolveSettings } from '../experiment/settings/resolve-settings.js';
import { kebab, textFromValue } from '../experiment/settings/setting-text.js';
import { type GivenSettings, SETTING_NAMES, type Settings } from '../experiment/settings/settings.js';
import { FileError } from '../formats/file-error.js';
import { recordedIo } from '../testing/io.js';
import { someSettings } from '../testing/settings.js';
import { Interrupted, type MakeCommand } from './command.js';
import { addSettingOptions, settingsOf } from './options.js';
import { run } from './program.js';

/** Runs `tautnet train …` with a training that only keeps its settings, or throws. */
async function train(argv: readonly string[], thrown?: unknown, environment: Record<string, string> = {}) {
  const { io, stdout, stderr } = recordedIo(environment);
  let settings: Settings | undefined;
  const makeTrain: MakeCommand = () =>
    addSettingOptions(new Command('train').description('train a network')).action(
      async (_options, command: Command) => {
        settings = await settingsOf(command);
        if (thrown !== undefined) throw thrown;
      },
    );
  const makeCertify: MakeCommand = () => new Command('certify').argument('<run>').action(() => undefined);
  const code = await run(argv, [makeTrain, makeCertify], io);
  return { code, settings, stdout: stdout(), stderr: stderr() };
}

const flagsOf = (given: GivenSettings): string[] =>
  SETTING_NAMES.filter((name) => given[name] !== undefined).flatMap((name) => {
    const value = given[name];
    if (typeof value === 'boolean') return [`--${value ? '' : 'no-'}${kebab(name)}`];
    return [`--${kebab(name)}`, textFromValue(value)];
  });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-program-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('settings on the command line', () => {
  test('flags and a configuration file with the same values give the same settings', async () => {
    const config = join(folder, 'same.yaml');
    await fc.assert(
      fc.asyncProperty(someSettings, async (given) => {
        await writeFile(config, configText(given));
        const [byFlags, byFile] = [
          await train(['train', ...flagsOf(given)]),
          await train(['train', '--config', config]),
        ];
        expect(byFlags.stderr).toBe('');
        expect(byFlags.settings).toEqual(resolveSettings(given));
        expect(byFile.settings).toEqual(byFlags.settings);
      }),
      { numRuns: 50 },
    );
  });

  test('flags win over the configuration file', async () => {
    const config = join(folder, 'under.yaml');
    await writeFile(config, 'epochs: 7\nepsilon: 8/255\nnormalize: false\n');
    const { settings } = await train(['train', '--config', config, '--epochs', '9', '--normalize']);
    expect(settings).toEqual(resolveSettings({ epochs: 9, epsilon: 8 / 255, normalize: true }));
  });

  test('help lists every setting with its default and choices', async () => {
    const { code, stdout, stderr } = await train(['train', '--help-all']);
    expect([code, stderr]).toEqual([0, '']);
    for (const name of SETTING_NAMES) expect(stdout).toContain(`--${kebab(name)}`);
    const text = stdout.replace(/\s+/g, ' ');
    expect(text).toContain('|none; default: ibp, none with method natural or pgd)');
    expect(text).toContain('default: 256 for mnist');
  });

  test.each([
    [['--epsilon', '2'], 'tautnet: --epsilon: expected a number in (0, 1], got 2;'],
    [['--epsilon', 'nan'], 'tautnet: --epsilon: expected a number in (0, 1], got "nan";'],
    [['--epsilon', ''], 'tautnet: --epsilon: expected a number in (0, 1], got "";'],
    [['--epsilon', '0x1'], 'tautnet: --epsilon: expected a number'],
    [['--epochs', '1e400'], 'tautnet: --epochs: expected a whole number of at least 1, got'],
    [['--epochs', '-1'], 'tautnet: --epochs: expected a whole number of at least 1, got -1'],
    [['--relaxation', 'crwn'], 'got "crwn"; did you mean crown?'],
    [['--batch-size', 'big'], 'tautnet: --batch-size: expected a whole number'],
    [['--learning-rate-decay-epochs', '5,x'], 'tautnet: --learning-rate-decay-epochs: expected a list'],
    [['--epochs', '5', '--warmup-epochs', '6'], 'tautnet: --warmup-epochs: expected the warm-up'],
    [['--samples', '4'], 'tautnet: --samples: expected smoothing rgs or pgpe'],
    [['--epsilno', '1'], "tautnet: unknown option '--epsilno' (Did you mean --epsilon?)"],
    [['--zzzzzzzz'], "tautnet: unknown option '--zzzzzzzz'; `tautnet train --help` lists"],
    [['--epsilon'], "tautnet: option '--epsilon <number>' argument missing"],
    [['surplus'], "tautnet: too many arguments for 'train'"],
    [['--config', '/nonexistent/a.yaml'], 'tautnet: --config: cannot read /nonexistent/a.yaml: no such file'],
  ])('%j ends with code 2 and one line that names the flag', async (argv, line) => {
    const { code, stderr, stdout, settings } = await train(['train', ...argv]);
    expect(stderr).toContain(line);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect([code, stdout, settings]).toEqual([2, '', undefined]);
  });

  test('a bad value in the configuration file is named with its line', async () => {
    const config = join(folder, 'bad.yaml');
    await writeFile(config, 'epochs: 7\nepsilon: 3\n');
    const { code, stderr } = await train(['train', '--config', config]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `tautnet: ${config}, line 2, column 10: epsilon: expected a number in (0, 1], got 3; it is: radius ε of the ball around an image, ‖x′ − x‖∞ ≤ ε, in pixel units of [0, 1], fractions like 2/255 may be used\n`,
    );
  });
});

describe('the program', () => {
  test('prints the version of the package', async () => {
    const { version } = JSON.parse(
      await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
    ) as { version: string };
    expect(await train(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('suggests the command that was meant', async () => {
    const { code, stderr } = await train(['trian']);
    expect([code, stderr]).toEqual([2, "tautnet: unknown command 'trian' (Did you mean train?)\n"]);
  });

  test('without a command prints help as an error', async () => {
    const { code, stderr, stdout } = await train([]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('certify');
  });

  test.each([
    [
      'could not be done',
      new Failure('runs/a: expected x, got y; do z'),
      1,
      'tautnet: runs/a: expected x, got y; do z\n',
    ],
    [
      'file',
      new FileError('a', 'cannot write a: the disk is full'),
      1,
      'tautnet: cannot write a: the disk is full\n',
    ],
    [
      'system',
      Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC', syscall: 'write', path: 'a.bin' }),
      1,
      /^tautnet: cannot write a\.bin: the disk is full/,
    ],
    ['several lines', new Error('first\n  second'), 1, 'tautnet: first second\n'],
    [
      'programming',
      new TypeError('x is undefined'),
      1,
      'tautnet: internal error: x is undefined; set TAUTNET_DEBUG=1 to see where, and please report it\n',
    ],
    ['interruption', new Interrupted('interrupted by SIGINT'), 130, 'tautnet: interrupted by SIGINT\n'],
    ['no error at all', 'text', 1, 'tautnet: text\n'],
  ])('an error (%s) is one line and an exit code', async (_kind, thrown, code, line) => {
    const result = await train(['train'], thrown);
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(line);
    expect(result.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('shows the stack, and that of the cause, only when asked to', async () => {
    const error = new Failure('could not', { cause: new Error('the cause') });
    expect((await train(['train'], error)).stderr).not.toContain('    at ');
    const { stderr, code } = await train(['train'], error, { TAUTNET_DEBUG: '1' });
    expect(stderr).toContain('    at ');
    expect(stderr).toContain('caused by: Error: the cause');
    expect(code).toBe(1);
  });
});
