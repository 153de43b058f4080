import { expect, test } from 'vitest';
import { resolveSettings } from './resolve-settings.js';

test.each([
  ['ibp', 64, 32],
  ['crown-ibp', 32, 32],
  ['crown', 16, 1],
  ['alpha-crown', 16, 1],
  ['hbox', 4, 4],
  ['deepz', 4, 4],
  ['ibp+crown-ibp', 32, 32],
  ['crown-ibp+crown', 16, 1],
  ['deepz+hbox+crown', 4, 4],
])('%s runs %i images at once on CNN5 and %i on CNN7, as its programs grow', (relaxation, narrow, wide) => {
  const microBatch = (architecture: 'cnn5' | 'cnn7') =>
    resolveSettings({ relaxation, architecture }).microBatch;
  expect(microBatch('cnn5')).toBe(narrow);
  expect(microBatch('cnn7')).toBe(wide);
});
