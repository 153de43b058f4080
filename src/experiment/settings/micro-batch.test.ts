import { expect, test } from 'vitest';
import { architecture } from '../../network/architectures.js';
import { type RelaxationName, relaxations } from '../../relaxation/index.js';
import { appetiteClass, appetiteOn, probe } from './micro-batch.js';
import { resolveSettings } from './resolve-settings.js';

test.each([
  ['ibp', 64, 32],
  ['crown-ibp', 32, 32],
  ['crown', 32, 1],
  ['alpha-crown', 32, 1],
  ['hbox', 32, 32],
  ['deepz', 32, 1],
  ['ibp+crown-ibp', 32, 32],
  ['crown-ibp+crown', 32, 1],
  ['deepz+hbox+crown', 32, 1],
])('%s runs %i images at once on CNN5 and %i on CNN7, as its programs grow', (relaxation, narrow, wide) => {
  const microBatch = (architecture: 'cnn5' | 'cnn7') =>
    resolveSettings({ relaxation, architecture }).microBatch;
  expect(microBatch('cnn5')).toBe(narrow);
  expect(microBatch('cnn7')).toBe(wide);
});

test.each(Object.keys(relaxations) as RelaxationName[])(
  'the probe puts %s into the class of appetite of a full network, and its multiples are within a factor of 2.5',
  (relaxation) => {
    const full = appetiteOn(architecture('cnn3', [1, 28, 28], 10), relaxation);
    const probed = appetiteOn(probe(), relaxation);
    expect(appetiteClass(probed)).toBe(appetiteClass(full));
    expect(full / probed).toBeGreaterThan(0.5);
    expect(full / probed).toBeLessThan(2.5);
  },
);

test('the probe and CNN5 on colour images put back-substitution into the same classes', () => {
  const network = architecture('cnn5', [3, 32, 32], 10);
  for (const relaxation of ['ibp', 'crown-ibp', 'crown'] as const) {
    const [full, probed] = [appetiteOn(network, relaxation), appetiteOn(probe(), relaxation)];
    expect(appetiteClass(probed), relaxation).toBe(appetiteClass(full));
    expect(full / probed, relaxation).toBeGreaterThan(0.5);
    expect(full / probed, relaxation).toBeLessThan(2.5);
  }
});
