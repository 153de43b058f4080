import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import type { Settings } from '../experiment/settings/settings.js';
import { recordedIo } from '../testing/io.js';
import type { MakeCommand } from './command.js';
import { addSettingOptions, settingsOf } from './options.js';
import { makePresetsCommand } from './presets.js';
import { run } from './program.js';

async function tautnet(...argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo();
  let settings: Settings | undefined;
  const makeTrain: MakeCommand = () =>
    addSettingOptions(new Command('train')).action(async (_flags: unknown, command: Command) => {
      settings = await settingsOf(command);
    });
  const code = await run(argv, [makePresetsCommand, makeTrain], io);
  return { code, settings, stdout: stdout(), stderr: stderr() };
}

describe('tautnet presets', () => {
  test('shows what names are put together of in one short table', async () => {
    const lines = (await tautnet('presets')).stdout.trimEnd().split('\n');
    expect(lines.length).toBeLessThan(20);
    for (const part of ['mnist-0.1', 'cnn5', 'sabr', 'rgs', 'pgpe']) expect(lines.join(' ')).toContain(part);
  });

  test('lists the names, all or those that begin so', async () => {
    const all = JSON.parse((await tautnet('presets', '--json')).stdout) as { presets: { name: string }[] };
    const names = all.presets.map(({ name }) => name);
    expect(names).toContain('mnist-0.1/cnn3/ibp-pgpe');
    expect(names).toContain('mnist-0.1/cnn3/ibp');
    expect(names).toContain('cifar10-8-255/cnn7/sabr-rgs');
    const some = (await tautnet('presets', 'mnist-0.3/cnn5/')).stdout.trimEnd().split('\n');
    expect(some).toEqual(names.filter((name) => name.startsWith('mnist-0.3/cnn5/')));
    expect(some.length).toBeGreaterThan(10);
  });

  test('prints one as a configuration file that gives the same run', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tautnet-presets-'));
    try {
      const file = join(folder, 'preset.yaml');
      await writeFile(file, (await tautnet('presets', 'cifar10-2-255/cnn5/crown-ibp-rgs')).stdout);
      const { settings } = await tautnet('train', '--config', file);
      expect(settings).toMatchObject({
        dataset: 'cifar10',
        epsilon: 2 / 255,
        architecture: 'cnn5',
        relaxation: 'crown-ibp',
        smoothing: 'rgs',
      });
      expect((await tautnet('train', '--preset', 'cifar10-2-255/cnn5/crown-ibp-rgs')).settings).toEqual(
        settings,
      );
      await writeFile(file, 'epsilon: 0.01\nseed: 3\n');
      const { settings: changed } = await tautnet(
        'train',
        '--preset',
        'cifar10-2-255/cnn5/crown-ibp-rgs',
        '--config',
        file,
        '--seed',
        '9',
      );
      expect(changed).toEqual({
        ...settings,
        epsilon: 0.01,
        trainEpsilon: 0.01,
        seed: 9,
        out: 'runs/cifar10-cnn5-crown-ibp-rgs-eps0.01-seed9',
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('pooling and layers are read with or without quotes', async () => {
    const layers = 'conv 4@5 s2 p2, conv 8@4 s2 p1, linear';
    for (const pool of [['2', 'max'], ['2 max']]) {
      const { settings } = await tautnet(
        'train',
        '--pool',
        ...pool,
        '--architecture',
        layers,
        '--epsilon',
        '0.2',
      );
      expect(settings).toMatchObject({ pool: '2 max', architecture: layers, epsilon: 0.2 });
      expect(settings?.out).toBe('runs/mnist-2max-conv4@5s2p2_conv8@4s2p1_linear-ibp-none-eps0.2-seed0');
    }
    expect((await tautnet('train', '--train-epsilon', '1.5x')).settings).toMatchObject({
      trainEpsilon: '1.5x',
    });
    expect((await tautnet('train', '--train-epsilon', '3/255')).settings?.trainEpsilon).toBeCloseTo(3 / 255);
  });

  test.each([
    [
      ['presets', 'mnist-0.1/cnn3/ipb'],
      '--preset: expected the name of a preset, got "mnist-0.1/cnn3/ipb"; did you mean mnist-0.1/cnn3/ibp?',
    ],
    [
      ['train', '--preset', 'mnist-0.1/cnn3/ipb'],
      'got "mnist-0.1/cnn3/ipb"; did you mean mnist-0.1/cnn3/ibp?',
    ],
    [
      ['train', '--preset', 'mnist-0.1/cnn3/ibp', '--train-limit', '100'],
      '--preset mnist-0.1/cnn3/ibp: batch-size: expected at most 100, the number of training images, got 256',
    ],
  ])('%j ends with one line that says what to do', async (argv, line) => {
    const { code, stdout, stderr } = await tautnet(...argv);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(line);
  });
});
