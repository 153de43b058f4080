import { describe, expect, test } from 'vitest';
import { datasetNamed } from '../data/datasets.js';
import { interval } from '../relaxation/interval.js';
import { UsageError } from './errors.js';
import { networkOf, objectivesOf, trainingObjective } from './prepare-training.js';
import { METHODS } from './settings/choices.js';
import { resolveSettings } from './settings/resolve-settings.js';
import type { GivenSettings, Settings } from './settings/settings.js';
import { methodTitle, robustLossOf, validationScore } from './training-method.js';

const messageOf = (given: GivenSettings): string => {
  try {
    resolveSettings(given);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error('expected a UsageError, nothing was thrown');
};

describe('the training method', () => {
  test('follows from the relaxation, and the relaxation from it', () => {
    expect(resolveSettings({})).toMatchObject({ method: 'certified', relaxation: 'ibp', kappa: 1 });
    expect(resolveSettings({ relaxation: 'none' })).toMatchObject({ method: 'natural', kappa: 0 });
    expect(resolveSettings({ method: 'natural' })).toMatchObject({
      relaxation: 'none',
      kappa: 0,
      initialization: 'kaiming',
    });
    expect(resolveSettings({ method: 'pgd' })).toMatchObject({
      relaxation: 'none',
      kappa: 1,
      warmupRegularizer: 0,
    });
    expect(resolveSettings({ method: 'sabr' })).toMatchObject({
      relaxation: 'ibp',
      lambda: 0.4,
      attackSteps: 8,
      attackStepSize: 0.5,
      initialization: 'ibp',
    });
    expect(resolveSettings({ method: 'sabr', epsilon: 2 / 255 }).lambda).toBe(0.1);
  });

  test('has its name in the run folder and in text', () => {
    const outs = METHODS.map((method) => resolveSettings({ method }).out);
    expect(new Set(outs).size).toBe(METHODS.length);
    expect(resolveSettings({}).out).toBe('runs/mnist-cnn3-ibp-none-eps0.1-seed0');
    expect(resolveSettings({ method: 'sabr', relaxation: 'crown' }).out).toBe(
      'runs/mnist-cnn3-sabr-crown-none-eps0.1-seed0',
    );
    expect(METHODS.map((method) => methodTitle(resolveSettings({ method })))).toEqual([
      ...['natural training', 'adversarial training', 'certified training with ibp'],
      ...['SABR', 'TAPS', 'STAPS', 'MTL-IBP', 'CC-IBP', 'Exp-IBP'],
    ]);
  });

  test('attacks with the steps, restarts and radius of the settings', () => {
    const settings = resolveSettings({ method: 'staps', architecture: 'fc-small', attackRestarts: 3 });
    const objective = (more: Partial<Settings>) =>
      trainingObjective({ ...settings, ...more }, networkOf(settings, datasetNamed('mnist')));
    expect(objective({}).noise).toMatchObject({ start: 3 * 784, 'embedding start': 3 * 9 * 100 });
    expect(() => objective({ attackRadius: 0 })).toThrow('attack: expected a radius above 0');
    expect(() => objective({ attackSteps: 0 })).toThrow('attack: expected steps to be an integer');
  });

  test('begins with a warm-up, or a loose bound, and ends as it is', () => {
    const at = (given: GivenSettings) => {
      const settings = resolveSettings({ architecture: 'fc-small', epochs: 10, ...given });
      const network = networkOf(settings, datasetNamed('mnist'));
      const last = trainingObjective(settings, network);
      return { last, ...objectivesOf(settings, network, last) };
    };
    expect(at({ method: 'sabr' }).objectiveAt).toBeUndefined();
    expect(at({ method: 'taps', tapsStart: 0 }).objectiveAt).toBeUndefined();
    const taps = at({ method: 'taps', warmupStart: 1, warmupEpochs: 2 });
    expect(taps.objectiveAt?.(2.9)).toMatchObject({ noise: {}, counts: ['natural', 'certified'] });
    expect(taps.objectiveAt?.(3)).toBe(taps.last);
    // The warm-up of STAPS is SABR: an attack on the pixels, none in the embedding.
    const staps = at({ method: 'staps', warmupEpochs: 2 });
    expect(Object.keys(staps.objectiveAt?.(0)?.noise ?? {})).toEqual(['start']);
    expect(Object.keys(staps.last.noise)).toEqual(['start', 'embedding start']);

    const mixed = at({ relaxation: 'crown', curriculum: 'ibp', curriculumStart: 2, curriculumEpochs: 4 });
    expect([0, 2, 3, 4, 6, 9].map((epoch) => mixed.beta?.(epoch))).toEqual([0, 0, 0.25, 0.5, 1, 1]);
    const [loose, between] = [mixed.objectiveAt?.(1), mixed.objectiveAt?.(4)];
    expect(loose).not.toBe(mixed.last);
    expect(new Set([loose, between, mixed.last]).size).toBe(3);
    expect(mixed.objectiveAt?.(6)).toBe(mixed.last);
    expect(mixed.objectiveAt?.(2)).toBe(loose);
    expect(between?.value.programs.length).toBeGreaterThanOrEqual(mixed.last.value.programs.length);
  });

  test.each(METHODS)('%s is made by its own file, with the settings given', (method) => {
    const settings = resolveSettings({ method });
    const expected = method === 'natural' ? undefined : method === 'certified' ? 'ibp' : method;
    expect(robustLossOf(settings, settings.relaxation === 'none' ? undefined : interval)?.name).toBe(
      expected,
    );
  });

  test.each<[GivenSettings, string]>([
    [
      { method: 'pgd', relaxation: 'ibp' },
      'relaxation: expected none with method pgd, which bounds nothing, got ibp;',
    ],
    [
      { method: 'certified', relaxation: 'none' },
      'relaxation: expected a bound with method certified, got none;',
    ],
    [{ method: 'sabr', relaxation: 'none' }, 'relaxation: expected a bound with method sabr, got none;'],
    [{ method: 'taps', relaxation: 'crown' }, 'relaxation: expected ibp with method taps, got crown;'],
    [
      { method: 'mtl-ibp', relaxation: 'crown-ibp' },
      'relaxation: expected ibp with method mtl-ibp, got crown-ibp;',
    ],
    [{ lambda: 0.3 }, 'lambda: expected method sabr or staps, got 0.3 with method certified;'],
    [{ method: 'sabr', lambda: 0 }, 'lambda: expected a number in (0, 1], got 0;'],
    [
      { method: 'pgd', alpha: 0.3 },
      'alpha: expected method mtl-ibp or cc-ibp or exp-ibp, got 0.3 with method pgd;',
    ],
    [{ attackSteps: 3 }, 'attack-steps: expected method pgd or '],
    [
      { method: 'taps', tapsBlock: 2 },
      'taps-block: expected at most 1, as cnn3 has 2 ReLU layers and the first bounds one of them, got 2;',
    ],
    [
      { method: 'staps', architecture: 'cnn7', tapsBlock: 6 },
      'taps-block: expected at most 5, as cnn7 has 6 ReLU layers',
    ],
    [{ epochs: 10, swaStart: 11 }, 'swa-start: expected an epoch of the run, at most 10, got 11;'],
    [{ select: 'best' }, 'select: expected last without validation images, got best;'],
  ])('%j is refused in one line before any work', (given, expected) => {
    const message = messageOf(given);
    expect(message).toContain(expected);
    expect(message).not.toContain('\n');
  });

  test('a network is chosen by what its method is for', () => {
    const held = { natural: 0.9, certified: 0.5, adversarial: 0.7, loss: 1.5 };
    expect(METHODS.map((method) => validationScore(method, held))).toEqual([
      0.9, 0.7, 0.5, -1.5, -1.5, -1.5, -1.5, -1.5, -1.5,
    ]);
    expect(METHODS.map((method) => validationScore(method, {}))).toEqual(METHODS.map(() => undefined));
    expect([resolveSettings({}).select, resolveSettings({ validation: 100 }).select]).toEqual([
      'last',
      'best',
    ]);
  });
});
