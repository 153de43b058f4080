import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { datasetNamed, datasets } from '../../data/datasets.js';
import { architectureNames } from '../../network/architectures.js';
import { relaxationNamed } from '../../relaxation/index.js';
import { createEstimator, estimators } from '../../smoothing/index.js';
import { someSettings } from '../../testing/settings.js';
import { rules } from '../../training/rules/index.js';
import { ARCHITECTURES, DATASETS, OPTIMIZERS, RELAXATIONS, SMOOTHINGS } from './choices.js';
import { estimatorOptions } from './estimator-settings.js';
import { resolveSettings } from './resolve-settings.js';

describe('the names that settings offer', () => {
  test('are those that are implemented, none missing', () => {
    expect([...ARCHITECTURES].sort()).toEqual([...architectureNames].sort());
    expect([...SMOOTHINGS].sort()).toEqual(Object.keys(estimators).sort());
    expect([...DATASETS].sort()).toEqual([...datasets.keys()].sort());
    for (const name of DATASETS) expect(datasetNamed(name).name).toBe(name);
    for (const name of OPTIMIZERS) expect(rules[name]().name).toBe(name);
    for (const name of RELAXATIONS) if (name !== 'none') expect(relaxationNamed(name).name).toBe(name);
  });

  test.each(SMOOTHINGS)('%s has the defaults of its own schema', (smoothing) => {
    const { schema } = estimators[smoothing];
    const bounds = smoothing === 'pgpe' ? { sigmaBounds: 'absolute' } : {};
    expect(schema.parse(estimatorOptions(resolveSettings({ smoothing })))).toEqual({
      ...schema.parse({}),
      ...bounds,
    });
  });

  test('and the values that settings allow are values that the estimators take', () => {
    fc.assert(
      fc.property(someSettings, (some) => {
        const settings = resolveSettings(some);
        expect(createEstimator(settings.smoothing, estimatorOptions(settings)).name).toBe(settings.smoothing);
      }),
    );
  });
});
