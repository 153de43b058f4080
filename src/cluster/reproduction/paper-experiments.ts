/** The settings of `--scale paper`: its networks at the published budgets, for a GPU or many machines. */
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { Experiment } from './claims.js';
import {
  beyondPgpe,
  beyondRgs,
  beyondRows,
  controlRow,
  methodRows,
  NESTED,
  paradox,
  pgpe,
  plainRows,
  rgs,
  smoothedRows,
  type Tuning,
} from './rows.js';

const PUBLISHED: Tuning = {
  ...{ tight: NESTED, rates: [1e-4, 5e-3], start: 5e-4, sigma: [1e-3, 0.03], startSigma: 0.01 },
};

const published = (name: string, settings: GivenSettings): Experiment => ({
  name,
  title: `${settings.architecture} on ${settings.dataset}, published recipe`,
  settings: { ...settings, validation: 5000, select: 'last' },
  rows: [
    ...plainRows(PUBLISHED, ['paradox', 'rgs']),
    ...smoothedRows('rgs', 2, PUBLISHED),
    ...smoothedRows('pgpe', 32, PUBLISHED),
    ...methodRows(PUBLISHED),
    ...beyondRows(PUBLISHED),
    controlRow(32, PUBLISHED),
  ],
  comparisons: [
    ...[...paradox(NESTED), ...rgs(NESTED), ...pgpe(NESTED)],
    ...[...beyondRgs(NESTED), beyondPgpe(NESTED)],
  ],
  trials: 8,
  seeds: 5,
  complete: 60,
  losses: ['ibp', 'crown-ibp', 'crown', ...NESTED],
  lossImages: 256,
});

export const PAPER: readonly Experiment[] = [
  ...[0.1, 0.3].map((epsilon) =>
    published(`mnist-${epsilon}-cnn3`, { dataset: 'mnist', architecture: 'cnn3', epsilon }),
  ),
  ...(['cnn3', 'cnn5', 'cnn5-l'] as const).flatMap((architecture) =>
    [2, 8].map((radius) =>
      published(`cifar10-${radius}-${architecture}`, {
        ...{ dataset: 'cifar10', architecture, epsilon: radius / 255 },
      }),
    ),
  ),
];
