import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { someSettings } from '../../testing/settings.js';
import { UsageError } from '../errors.js';
import { configText, parseConfig } from './config-file.js';
import { DEFAULTS } from './defaults.js';
import { RECIPES, stretch } from './recipes.js';
import { changeSettings, resolveSettings } from './resolve-settings.js';
import { kebab, nearest, settingNamed, textFromValue, valueFromText } from './setting-text.js';
import { type GivenSettings, informationOf, SETTING_NAMES, settingsSchema } from './settings.js';

const messageOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof UsageError && error.exitCode === 2) return error.message;
    throw error;
  }
  throw new Error('expected a UsageError, nothing was thrown');
};
const given = (values: Record<string, unknown>) => values as GivenSettings;

describe('settings', () => {
  test('all defaults together are valid settings, those of the published MNIST recipe', () => {
    const settings = resolveSettings({});
    expect(settingsSchema.parse(settings)).toEqual(settings);
    expect(settings).toMatchObject({
      batchSize: 256,
      epochs: 70,
      learningRateDecayEpochs: [50, 60],
      learningRateDecayFactor: 0.2,
      warmupStart: 0,
      warmupEpochs: 20,
    });
    expect(settings).toMatchObject({
      optimizer: 'adam',
      learningRate: 5e-4,
      gradientClip: 10,
      epsilon: 0.1,
      warmupRegularizer: 0.5,
      clipBox: true,
    });
  });

  test('program calls take fewer images where an attack keeps its programs beside those of the bounds of a large network', () => {
    const microBatch = (settings: GivenSettings) =>
      resolveSettings({ dataset: 'cifar10', ...settings }).microBatch;
    const methods = ['certified', 'sabr'] as const;
    expect(methods.map((method) => microBatch({ architecture: 'cnn7-bn', method }))).toEqual([32, 16]);
    expect(methods.map((method) => microBatch({ architecture: 'cnn5', method }))).toEqual([64, 64]);
  });

  test('program calls take more images on a graphics processor, but where they share statistics', () => {
    const microBatch = (settings: GivenSettings) =>
      resolveSettings({ dataset: 'mnist', batchSize: 512, device: 'webgpu', ...settings }).microBatch;
    expect(microBatch({ architecture: 'cnn3' })).toBe(512);
    expect(microBatch({ architecture: 'cnn3', relaxation: 'crown-ibp' })).toBe(256);
    expect(microBatch({ architecture: 'cnn3', relaxation: 'crown-ibp', device: 'cpu' })).toBe(32);
    expect(microBatch({ architecture: 'cnn3-bn' })).toBe(
      microBatch({ architecture: 'cnn3-bn', device: 'cpu' }),
    );
  });

  test('TAPS attacks each of few classes, and only the loss where there are 200', () => {
    const chosen = (dataset: 'cifar10' | 'tiny-imagenet', more: GivenSettings = {}) => {
      const { tapsEstimator, microBatch } = resolveSettings({
        dataset,
        architecture: 'cnn5',
        method: 'taps',
        ...more,
      });
      return [tapsEstimator, microBatch];
    };
    expect(chosen('cifar10')).toEqual(['multi', 64]);
    expect(chosen('tiny-imagenet')).toEqual(['single', 64]);
    expect(chosen('tiny-imagenet', { tapsEstimator: 'multi' })).toEqual(['multi', 4]);
  });

  test('every setting has a description and a default, under one kebab-case name', () => {
    expect(Object.keys(DEFAULTS).sort()).toEqual([...SETTING_NAMES].sort());
    for (const name of SETTING_NAMES) {
      expect(informationOf(name).description).not.toBe('');
      expect(settingNamed(kebab(name))).toBe(name);
    }
  });

  test('resolved settings are valid, keep what was given, and resolve to themselves', () => {
    fc.assert(
      fc.property(someSettings, (some) => {
        const settings = resolveSettings(some);
        expect(settings).toMatchObject(some);
        expect(settingsSchema.safeParse(settings).success).toBe(true);
        expect(resolveSettings(settings)).toEqual(settings);
      }),
    );
  });

  test('a value survives its text on the command line', () => {
    fc.assert(
      fc.property(someSettings, (some) => {
        for (const name of SETTING_NAMES)
          if (some[name] !== undefined)
            expect(valueFromText(name, textFromValue(some[name]))).toEqual(some[name]);
      }),
    );
  });

  test('a configuration file brings back the settings that it was written from', () => {
    fc.assert(
      fc.property(someSettings, (some) => {
        const settings = resolveSettings(some);
        const file = parseConfig(configText(settings, { format: 1, version: '0.1.0' }), 'a.yaml');
        expect(resolveSettings(file.given)).toEqual(settings);
        expect(file.origin).toEqual({ format: 1, version: '0.1.0' });
      }),
    );
  });

  test('the recipe stretches with the number of epochs, decay and warm-up inside the run', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), (epochs) => {
        const { warmupStart, warmupEpochs, learningRateDecayEpochs } = stretch(RECIPES.mnist, epochs);
        expect(warmupStart + warmupEpochs).toBeLessThan(epochs);
        expect(
          learningRateDecayEpochs.every((epoch, i, all) => epoch > (all[i - 1] ?? 0) && epoch < epochs),
        ).toBe(true);
        expect(resolveSettings({ epochs }).warmupEpochs).toBe(warmupEpochs);
      }),
    );
  });

  test.each([
    [{ epsilon: 2 }, 'epsilon: expected a number in (0, 1], got 2'],
    [{ epsilon: 0 }, 'epsilon: expected a number in (0, 1], got 0'],
    [{ epsilon: Number.NaN }, 'epsilon: expected a number in (0, 1], got NaN'],
    [
      { smoothing: 'rgs', sigmaMode: 'layer' },
      'sigma-mode: expected global or relative with smoothing rgs, got',
    ],
    [{ smoothing: 'rgs', samples: 3, antithetic: true }, 'samples: expected an even number with antithetic'],
    [{ smoothing: 'rgs', samples: 1, unbiased: true }, 'samples: expected at least 2 with unbiased'],
    [{ smoothing: 'rgs', unbiased: true, perturbed: 'weights' }, 'perturbed: expected all with unbiased'],
    [{ smoothing: 'pgpe', antithetic: true }, 'antithetic: expected smoothing rgs'],
    [
      { smoothing: 'pgpe', shaping: 'centered-rank', controlVariate: 'gradient' },
      'shaping: expected none with a control variate',
    ],
    [{ smoothing: 'pgpe', controlSamples: 3 }, 'control-samples: expected control-variate rgs'],
    [
      { pool: '3 max' },
      'pool: expected a pooling that fits the images, got "3 max"; expected a number that divides',
    ],
    [{ pool: 'max' }, 'pool: expected none, or a number and max or mean, like "2 max", got "max"'],
    [{ architecture: 'conv 4@5 q2, linear' }, 'or layers like "conv 4@5 s2 p2, linear 100, linear", got'],
    [
      { pool: '2 max', architecture: 'conv 4@5 s4, conv 8@9, linear' },
      'architecture: expected layers that fit the 1×14×14 images of mnist, 2×2 max-pooled, got "conv 4@5 s4, ' +
        'conv 8@9, linear"; layer 2, conv 8@9 s1 p0: convolution: a kernel of 9×9 does not fit',
    ],
    [
      { curriculumEpochs: 3 },
      'curriculum-epochs: expected a curriculum beside it, got 3; leave it out, or give',
    ],
    [{ curriculum: 'ibp' }, 'curriculum: expected another bound than the relaxation, got ibp'],
    [
      { method: 'taps', curriculum: 'ibp' },
      'curriculum: expected none with method taps, which takes one bound',
    ],
    [{ relaxation: 'crown', curriculum: 'lp' }, 'curriculum: expected a bound with a derivative, got lp'],
    [
      { relaxation: 'crown', curriculum: 'ibp', epochs: 5, curriculumEpochs: 6 },
      'curriculum-epochs: expected the curriculum to end within the 5 epochs, got 6',
    ],
    [
      { method: 'taps', tapsProduct: 'batch' },
      'taps-product: expected images where the batch of 256 is cut into micro-batches of 64, got batch; give',
    ],
    [
      { method: 'sabr', relaxation: 'crown', reluShrinking: 0.8 },
      'relu-shrinking: expected 1 with relaxation',
    ],
    [{ method: 'sabr', reluShrinking: 0 }, 'relu-shrinking: expected a number in (0, 1], got 0'],
    [{ swaEvery: 10 }, 'swa-every: expected swa-start beside it, from which on networks are averaged'],
    [{ trainEpsilon: 0 }, 'train-epsilon: expected a number in (0, 1], or a factor of epsilon above 0 like'],
    [{ trainEpsilon: '0x' }, 'factor of epsilon above 0 like 1.5x, got "0x"'],
    [{ trainEpsilon: '-1x' }, 'factor of epsilon above 0 like 1.5x, got "-1x"'],
    [{ epsilon: 0.4, trainEpsilon: '3x' }, 'train-epsilon: expected a radius of at most 1, where 0.4 is ε'],
    [{ attackRestarts: 2 }, 'attack-restarts: expected method'],
    [{ method: 'taps', attackRadius: 2 }, 'attack-radius: expected method'],
    [{ method: 'sabr', attackRadius: 0 }, 'attack-radius: expected a number above 0'],
    [{ epsilon: '0.1' }, 'epsilon: expected a number in (0, 1], got "0.1"'],
    [{ epsilon: '1/0' }, 'epsilon: expected a number in (0, 1], got "1/0"'],
    [{ architecture: 'cn3' }, 'got "cn3"; did you mean cnn3?'],
    [
      { relaxation: 'polytope' },
      'expected one of ibp, hbox, deepz, crown-ibp, crown, crown-all, nested-crown-ibp, deeppoly, alpha-crown, lp, exact, none, or several joined by +, got "polytope"; it is: bound of',
    ],
    [{ relaxation: 'ibp+crwn-ibp' }, 'got "ibp+crwn-ibp"; did you mean ibp+crown-ibp?'],
    [{ relaxation: 'ibp+ibp' }, 'got "ibp+ibp"; did you mean ibp?'],
    [{ relaxation: 'ibp+none' }, 'got "ibp+none"; it is: bound of'],
    [{ relaxation: 'deepz+polytope' }, 'got "deepz+polytope"; it is: bound of'],
    [
      { lossFusion: true },
      'loss-fusion: expected false with relaxation ibp, which has no loss fusion, got true; leave it out, or choose --relaxation crown-ibp',
    ],
    [{ batchSize: 1.5 }, 'batch-size: expected a whole number of at least 1, got 1.5'],
    [{ normalize: 'yes' }, 'normalize: expected true or false, got "yes"'],
    [{ learningRateDecayEpochs: 'x' }, 'learning-rate-decay-epochs: expected a list of whole numbers'],
    [{ learningRateDecayEpochs: [60, 50] }, 'learning-rate-decay-epochs: expected growing numbers'],
    [{ epochs: 60, learningRateDecayEpochs: [60] }, 'learning-rate-decay-epochs: expected epochs below 60'],
    [
      { epochs: 10, warmupEpochs: 10 },
      'warmup-epochs: expected the warm-up, which starts at epoch 0, to end before the run of 10 epochs',
    ],
    [{ epochs: 10, warmupStart: 11, warmupEpochs: 1 }, 'warmup-start: '],
    [{ samples: 8 }, 'samples: expected smoothing rgs or pgpe, got 8 with smoothing none'],
    [{ sigma: 0.01 }, 'sigma: expected smoothing rgs or pgpe, got 0.01 with smoothing none'],
    [{ smoothing: 'rgs', shaping: 'centered-rank' }, 'shaping: expected smoothing pgpe'],
    [{ smoothing: 'pgpe', sigma: 0.1, sigmaMax: 0.01 }, 'sigma: expected at most sigma-max = 0.01'],
    [{ smoothing: 'pgpe', sigma: 0.1, sigmaMin: 1, sigmaMax: 2 }, 'sigma: expected at least sigma-min = 1'],
    [{ smoothing: 'rgs', sigmaMin: 0.1 }, 'sigma-min: expected smoothing pgpe, got 0.1 with smoothing rgs'],
    [
      { smoothing: 'rgs', sigmaDecay: 'exponential', sigmaDecayFactor: 0 },
      'sigma-decay-factor: expected more than 0',
    ],
    [
      { smoothing: 'rgs', sigmaDecay: 'constant', sigmaDecayFactor: 0.5 },
      'sigma-decay-factor: expected 1 with sigma-decay constant',
    ],
    [
      { smoothing: 'pgpe', sigmaDecay: 'linear', sigmaDecayFactor: 0 },
      'sigma-decay-factor: expected more than 0 with smoothing pgpe',
    ],
    [{ smoothing: 'pgpe', samples: 1, sigmaLearningRate: 0.1 }, 'samples: expected at least 2 pairs'],
    [{ relaxation: 'none', kappa: 0.5 }, 'kappa: expected 0 with relaxation none'],
    [
      { relaxation: 'lp' },
      'relaxation: expected a bound with a derivative, which smoothing none takes, got lp; a solver finds it',
    ],
    [
      { relaxation: 'ibp+exact', smoothing: 'rgs' },
      'relaxation: expected a bound with a derivative, which smoothing rgs takes, got ibp+exact;',
    ],
    [{ batchSize: 64, microBatch: 128 }, 'micro-batch: expected at most batch-size = 64'],
    [{ trainLimit: 100, batchSize: 128 }, 'batch-size: expected at most 100'],
    [{ validation: 60000 }, 'validation: expected fewer than the 60000'],
    [{ trainLimit: 59000, validation: 5000 }, 'train-limit: expected at most 55000'],
    [{ epsilom: 0.1 }, 'got "epsilom"; did you mean epsilon?'],
    [{ 'batch-size': 1 }, 'expected the name of a setting, got "batch-size"'],
    [{ __proto__x: 1 }, 'expected the name of a setting'],
    [{ zzzzzzzzzzzzzzzz: 1 }, 'lists all'],
  ])('%j is refused in one line that says what was expected', (values, expected) => {
    const message = messageOf(() => resolveSettings(given(values)));
    expect(message).toContain(expected);
    expect(message).not.toContain('\n');
    expect(message).toContain(';');
  });

  test('fractions may be used where numbers need not be whole', () => {
    expect(resolveSettings(given({ epsilon: '2/255' })).epsilon).toBe(2 / 255);
    expect(valueFromText('batchSize', '4/2')).toBe('4/2');
  });

  test('one typing error is found again: a letter left out or doubled', () => {
    const names = SETTING_NAMES.map(kebab).filter((name) => name.length > 4);
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.nat(),
        fc.constantFrom('drop', 'double'),
        (name, place, error) => {
          const i = place % name.length;
          const typed =
            name.slice(0, i) + (error === 'drop' ? '' : (name[i] as string).repeat(2)) + name.slice(i + 1);
          expect(nearest(typed, names)).toBe(name);
        },
      ),
    );
  });

  test('a resumed run may change machine settings only', () => {
    const settings = resolveSettings({});
    expect(changeSettings(settings, { threads: 7, checkpointEvery: 3 })).toEqual({
      ...settings,
      threads: 7,
      checkpointEvery: 3,
    });
    expect(changeSettings(settings, { epsilon: 0.1 })).toEqual(settings);
    expect(messageOf(() => changeSettings(settings, { epsilon: 0.2 }))).toBe(
      'epsilon: expected 0.1 as when the run was created, got 0.2; leave it out to resume, or start a new run',
    );
  });
});

describe('configuration files', () => {
  test.each([
    ['epsilon: 2', 'a.yaml, line 1, column 10: epsilon: expected a number in (0, 1], got 2'],
    [
      '# comment\n\nepsilon: .nan',
      'a.yaml, line 3, column 10: epsilon: expected a number in (0, 1], got NaN',
    ],
    [
      'seed: 1\nbatchsize: 4',
      'a.yaml, line 2, column 1: expected the name of a setting, got "batchsize"; did you mean batch-size?',
    ],
    ['seed: 1\nbatchSize: 4', 'did you mean batch-size?'],
    ['seed: 1\nseed: 2', 'a.yaml, line 2, column 1: expected YAML; Map keys must be unique'],
    ['seed: [1', 'a.yaml, line 1, column '],
    ['- seed', 'a.yaml, line 1, column 1: expected "name: value" lines'],
    ['seed:', 'seed: expected a whole number from 0 to 4294967295, got nothing'],
  ])('%j is refused with its place', (text, expected) => {
    const message = messageOf(() => parseConfig(text, 'a.yaml'));
    expect(message).toContain(expected);
    expect(message).not.toContain('\n');
  });

  test('a condition between settings names the place of the one that is given', () => {
    const { given: values, whereabouts } = parseConfig('epochs: 10\nwarmup-epochs: 30\n', 'a.yaml');
    expect(messageOf(() => resolveSettings(values, whereabouts))).toMatch(
      /^a\.yaml, line 2, column 16: warmup-epochs: expected the warm-up/,
    );
  });

  test('an empty file gives no settings', () => {
    expect(parseConfig('', 'a.yaml').given).toEqual({});
    expect(parseConfig('# nothing\n', 'a.yaml').given).toEqual({});
  });
});
