import { describe, expect, test } from 'vitest';
import { UsageError } from '../errors.js';
import { ARCHITECTURES } from './choices.js';
import { configText, parseConfig } from './config-file.js';
import { changedPreset, presets, readPreset, sourcedPreset } from './presets.js';
import { recipesOf } from './recipes.js';
import { resolveSettings } from './resolve-settings.js';

const all = await presets();
const METHODS = [
  'natural',
  'pgd',
  'ibp',
  'crown-ibp',
  'crown',
  'sabr',
  'taps',
  'staps',
  'mtl-ibp',
  'cc-ibp',
  'exp-ibp',
];
const SETTINGS = ['mnist-0.1', 'mnist-0.3', 'cifar10-2-255', 'cifar10-8-255', 'tiny-imagenet-1-255'];

describe('presets', () => {
  test('are every published setting with every architecture, method and smoothing', () => {
    const expected = SETTINGS.flatMap((setting) =>
      ARCHITECTURES.flatMap((architecture) =>
        METHODS.flatMap((method) =>
          ['', '-rgs', '-pgpe'].map((smoothing) => `${setting}/${architecture}/${method}${smoothing}`),
        ),
      ),
    );
    expect([...all.keys()].sort()).toEqual(expected.sort());
  });

  test('are each a run that can be started, under a name of its own, and say themselves as a configuration file', async () => {
    const runs = new Set<string>();
    for (const [name, { architecture }] of all) {
      const preset = await readPreset(name);
      const settings = resolveSettings(preset);
      expect(settings).toMatchObject({ ...preset, architecture });
      expect(parseConfig(configText(preset), name).given).toEqual(preset);
      runs.add(JSON.stringify(settings));
    }
    expect(runs.size).toBe(all.size);
  });

  test.each(SETTINGS)('%s has the schedule of the recipe for its data set and radius', async (setting) => {
    const { dataset, epsilon, ...preset } = resolveSettings(await readPreset(`${setting}/cnn3/ibp`));
    const recipe = recipesOf(dataset).find((candidate) => candidate.epsilon === epsilon);
    const { trainingImages: _images, epsilon: _epsilon, ...schedule } = recipe as NonNullable<typeof recipe>;
    expect(preset).toMatchObject(schedule);
  });

  test('say of each number where it is from, or that it is ours', async () => {
    for (const name of all.keys()) {
      if (!name.includes('/cnn3/')) continue;
      const { given, sources } = await sourcedPreset(name);
      const numbers = Object.entries(given).filter(
        ([, value]) => typeof value === 'number' || Array.isArray(value) || /^\d/.test(String(value)),
      );
      for (const [setting] of numbers) expect(sources, `${name}: ${setting}`).toHaveProperty(setting);
    }
    const { sources } = await sourcedPreset('mnist-0.1/cnn3/ibp-rgs');
    expect(sources).toMatchObject({ sigma: 'ours', samples: 'ours', learningRate: 'Shi 2021, Müller 2023' });
    expect(await sourcedPreset('mnist-0.3/cnn3/mtl-ibp')).toMatchObject({
      sources: { alpha: 'CTBench (Mao 2024)' },
    });
  });

  test.each([
    ['mnist-0.1/cnn3/ibp', { epsilon: 0.1, trainEpsilon: '2x' }],
    ['mnist-0.3/cnn3/ibp', { l1: 2e-6, kappa: 0.7, trainEpsilon: 0.3 }],
    ['mnist-0.3/cnn3/sabr', { lambda: 0.9, kappa: 1 }],
    ['mnist-0.3/cnn3/mtl-ibp', { alpha: 0.5, attackSteps: 1, swaStart: 65 }],
    ['cifar10-2-255/cnn3/ibp', { l1: 1e-6, kappa: 0.8 }],
    ['cifar10-2-255/cnn3/sabr', { lambda: 0.1, trainEpsilon: '1.5x', reluShrinking: 0.8 }],
    ['cifar10-2-255/cnn3/mtl-ibp', { alpha: 0.01, kappa: 0.9, attackRadius: 2, l1: 3e-6, swaStart: 150 }],
    ['cifar10-8-255/cnn3/ibp', { l1: 0, kappa: 1 }],
    ['cifar10-8-255/cnn3/sabr', { lambda: 0.9, attackSteps: 10, attackRestarts: 3 }],
    ['cifar10-8-255/cnn3/mtl-ibp', { alpha: 0.6, swaStart: 225, attackSteps: 1, attackRestarts: 3 }],
    ['mnist-0.1/cnn3/ibp-pgpe', { gradientClip: 0 }],
    ['mnist-0.1/cnn3/ibp-rgs', { gradientClip: 10 }],
  ])('%s has its published numbers', async (name, published) => {
    expect(resolveSettings(await readPreset(name))).toMatchObject(published);
  });

  test('mean what their names say', async () => {
    expect(resolveSettings(await readPreset('mnist-0.3/cnn5/crown-ibp'))).toMatchObject({
      epsilon: 0.3,
      architecture: 'cnn5',
      relaxation: 'crown-ibp',
      smoothing: 'none',
    });
    expect(resolveSettings(await readPreset('cifar10-8-255/cnn7/sabr-rgs'))).toMatchObject({
      epsilon: 8 / 255,
      method: 'sabr',
      smoothing: 'rgs',
    });
    expect(resolveSettings(await readPreset('tiny-imagenet-1-255/cnn7/natural'))).toMatchObject({
      dataset: 'tiny-imagenet',
      relaxation: 'none',
      kappa: 0,
    });
  });

  test('stretch their schedules with the number of epochs, and yield to whatever else is given', async () => {
    const preset = await readPreset('cifar10-2-255/cnn5/ibp');
    expect(resolveSettings(changedPreset(preset, { epochs: 16 }))).toMatchObject({
      epochs: 16,
      warmupStart: 0.1,
      warmupEpochs: 8,
      learningRateDecayEpochs: [12, 14],
    });
    expect(resolveSettings(changedPreset(preset, { epochs: 16, warmupEpochs: 3 }))).toMatchObject({
      warmupEpochs: 3,
    });
    const averaged = await readPreset('mnist-0.3/cnn3/mtl-ibp');
    expect(changedPreset(averaged, { epochs: 14 }).swaStart).toBe(13);
    expect(changedPreset(averaged, { epochs: 14, swaStart: 2 }).swaStart).toBe(2);
    expect(resolveSettings(changedPreset(preset, { seed: 4, epsilon: 3 / 255 }))).toMatchObject({
      epochs: 160,
      warmupEpochs: 80,
      seed: 4,
      epsilon: 3 / 255,
    });
  });

  test.each([
    ['mnist-0.1/cn3/ibp', 'did you mean mnist-0.1/cnn3/ibp?'],
    ['cifar10-2-255/cnn5/sabr-rsg', 'did you mean cifar10-2-255/cnn5/sabr-rgs?'],
    ['best', '`tautnet presets` lists all'],
  ])('%s is refused with the nearest name', async (name, advice) => {
    await expect(readPreset(name)).rejects.toThrow(UsageError);
    await expect(readPreset(name)).rejects.toThrow(
      `--preset: expected the name of a preset, got "${name}"; ${advice}`,
    );
  });
});
