import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { METHODS, RELAXATIONS } from '../experiment/settings/choices.js';
import { recordedIo } from '../testing/io.js';
import { PROGRAM } from '../testing/tautnet-process.js';
import { COMMANDS } from './commands.js';
import { type Completion, completionOf } from './completion-candidates.js';
import { makeProgram, run } from './program.js';

const program = makeProgram(COMMANDS, recordedIo().io);
const texts = (found: Completion) => (found === 'files' ? found : found.map(({ text }) => text));
const complete = async (...words: string[]) => texts(await completionOf(program, words));

describe('completion', () => {
  test('of commands, and of commands in commands', async () => {
    expect(await complete('')).toEqual(expect.arrayContaining(['train', 'certify', 'verify', 'completion']));
    expect(await complete('ce')).toEqual(['certify']);
    expect(await complete('data', '')).toEqual(['list', 'fetch', 'check']);
  });

  test('of options, advanced ones too, with what they mean', async () => {
    expect(await complete('train', '--smoo')).toEqual(['--smoothing']);
    expect(await complete('train', 'a', '--micro')).toEqual(['--micro-batch']);
    expect(await completionOf(program, ['train', '--sou'])).toEqual([]);
    for (const command of ['certify', 'verify'])
      expect(await completionOf(program, [command, 'x', '--sou'])).toEqual([
        { text: '--sound', description: expect.stringContaining('float64') },
      ]);
  });

  test('of choices: methods, relaxations and what joins them, presets piece by piece', async () => {
    expect(await complete('train', '--method', '')).toEqual([...METHODS]);
    expect(await complete('train', '--relaxation', 'crown+')).toEqual(
      RELAXATIONS.map((name) => `crown+${name}`),
    );
    expect(await complete('train', '--relaxation', 'IBP+de')).toEqual(['ibp+deepz', 'ibp+deeppoly']);
    expect(await complete('certify', 'run', '--device', 'c')).toEqual(['cpu', 'cuda']);
    expect(await complete('train', '--preset', 'mn')).toEqual(['mnist-0.1/', 'mnist-0.3/']);
    expect(await complete('presets', 'mnist-0.1/cnn3/ib')).toEqual(
      ['ibp', 'ibp-pgpe', 'ibp-rgs'].map((name) => `mnist-0.1/cnn3/${name}`),
    );
    expect(await complete('data', 'check', 'm')).toEqual(['mnist']);
    expect(await complete('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  test('after "=", as bash takes it apart and as others do not', async () => {
    expect(await complete('train', '--dataset', '=')).toContain('mnist');
    expect(await complete('train', '--dataset', '=', 'sv')).toEqual(['svhn']);
    expect(await complete('train', '--dataset=sv')).toEqual(['--dataset=svhn']);
  });

  test('leaves paths to the shell, and numbers to the user', async () => {
    for (const words of [
      ['certify', ''],
      ['verify', 'a.onnx', ''],
      ['train', '--config', ''],
      ['certify', 'run', '--out', 'x'],
    ])
      expect(await complete(...words)).toBe('files');
    expect(await complete('train', '--epochs', '')).toEqual([]);
  });

  test('refuses other shells in one line', async () => {
    const { io, stderr } = recordedIo();
    expect(await run(['completion', 'tcsh'], COMMANDS, io)).toBe(2);
    expect(stderr()).toBe('tautnet: completion: expected one of bash, zsh, fish, got "tcsh"\n');
  });
});

const hasShell = (name: string) =>
  process.platform !== 'win32' && spawnSync(name, ['-c', 'true']).status === 0;

describe('the script', () => {
  let folder: string;
  let env: Record<string, string | undefined>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-completion-'));
    await writeFile(join(folder, 'tautnet'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
    await chmod(join(folder, 'tautnet'), 0o755);
    await writeFile(join(folder, 'model.onnx'), '');
    env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const inShell = (shell: string, script: string) =>
    execFileSync(shell, ['-c', script], { cwd: folder, env, encoding: 'utf8' }).trim().split('\n');

  test.skipIf(!hasShell('bash'))('completes in bash', () => {
    const bash = (...words: string[]) =>
      inShell(
        'bash',
        `eval "$(tautnet completion bash)"; COMP_WORDS=(${words.map((w) => `'${w}'`).join(' ')}); ` +
          `COMP_CWORD=${words.length - 1}; _tautnet; printf '%s\\n' "\${COMPREPLY[@]}"`,
      );
    expect(bash('tautnet', 'tr')).toEqual(['train']);
    expect(bash('tautnet', 'train', '--meth')).toEqual(['--method']);
    expect(bash('tautnet', 'train', '--relaxation', 'alpha')).toEqual(['alpha-crown']);
    expect(bash('tautnet', 'verify', 'mod')).toEqual(['model.onnx']);
  });

  test.skipIf(!hasShell('fish'))('completes in fish', () => {
    const fish = (line: string) =>
      inShell('fish', `tautnet completion fish | source; complete -C '${line}'`).map(
        (each) => each.split('\t')[0],
      );
    expect(fish('tautnet tr')).toEqual(['train']);
    expect(fish('tautnet train --relaxation alpha')).toEqual(['alpha-crown']);
    expect(fish('tautnet verify mod')).toEqual(['model.onnx']);
  });

  test.skipIf(!hasShell('zsh'))('completes in zsh', () => {
    // What the widget would hand to the editor is printed.
    const stubs =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a script of zsh
      'compdef() { }; compadd() { print -l -- "${@:$(( ${@[(i)--]} + 1 ))}" }; _files() { print files }';
    const zsh = (...words: string[]) =>
      inShell(
        'zsh',
        `${stubs}; eval "$(tautnet completion zsh)"; words=(${words.map((w) => `'${w}'`).join(' ')}); ` +
          `CURRENT=${words.length}; _tautnet`,
      ).filter((line) => line !== '');
    expect(zsh('tautnet', 'tr')).toEqual(['train']);
    expect(zsh('tautnet', 'train', '--preset', 'mn')).toEqual(['mnist-0.1/', 'mnist-0.3/']);
    expect(zsh('tautnet', 'train', '--relaxation', 'alpha')).toEqual(['alpha-crown']);
    expect(zsh('tautnet', 'verify', 'mod')).toEqual(['files']);
  });
});
