/** The settings in which claims are looked at, by scale: data set, radius, network, budget and rows. */
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { ClaimName, Experiment, Scale } from './claims.js';
import {
  beyondPgpe,
  beyondRgs,
  beyondRows,
  controlRow,
  methodRows,
  NESTED,
  PLAIN,
  paradox,
  pgpe,
  plainRows,
  rgs,
  smoothedRows,
  type Tuning,
} from './rows.js';

const LOSSES = ['ibp', 'hbox', 'deepz', ...PLAIN, ...NESTED] as const;

/** Convolutions on MNIST, max-pooled 2×2 to 14×14, at ε 0.2: small enough for many seeds. */
const POOLED: GivenSettings = {
  dataset: 'mnist',
  pool: '2 max',
  architecture: 'conv 4@5 s2 p2, conv 8@4 s2 p1, linear',
  epsilon: 0.2,
  normalize: false,
  batchSize: 128,
  select: 'last',
};
const POOLED_TUNING: Tuning = {
  ...{ tight: PLAIN, rates: [0.002, 0.05], start: 0.015, sigma: [0.02, 0.2], startSigma: 0.1 },
};

const pooled = (more: Partial<Experiment> & { settings: GivenSettings }): Experiment => ({
  name: 'S2',
  title: 'MNIST max-pooled to 14×14, ε 0.2, conv 4@5 s2 p2, conv 8@4 s2 p1, linear (1,354 parameters)',
  rows: [
    ...plainRows(POOLED_TUNING, ['paradox', 'rgs']),
    ...smoothedRows('rgs', 2, POOLED_TUNING),
    ...methodRows(POOLED_TUNING),
    ...beyondRows(POOLED_TUNING),
  ],
  comparisons: [...paradox(PLAIN), ...rgs(PLAIN), ...beyondRgs(PLAIN)],
  trials: 6,
  seeds: 5,
  losses: LOSSES,
  lossImages: 256,
  ...more,
  settings: { ...POOLED, ...more.settings },
});

/** A network of 520 parameters, for which PGPE can afford to converge. */
const tiny = (more: Partial<Experiment> & { settings: GivenSettings }): Experiment => {
  const tuning: Tuning = {
    tight: PLAIN,
    rates: [0.001, 0.05],
    start: 0.01,
    sigma: [0.005, 0.1],
    startSigma: 0.02,
  };
  return {
    name: 'T',
    title: 'MNIST max-pooled to 7×7, ε 0.1, conv 3@3 s2 p1, linear (520 parameters)',
    rows: [...plainRows(tuning, ['pgpe']), ...smoothedRows('pgpe', 32, tuning), controlRow(32, tuning)],
    comparisons: [...pgpe(PLAIN), beyondPgpe(PLAIN)],
    trials: 4,
    seeds: 5,
    losses: LOSSES,
    lossImages: 256,
    ...more,
    settings: {
      ...POOLED,
      pool: '4 max',
      architecture: 'conv 3@3 s2 p1, linear',
      epsilon: 0.1,
      ...more.settings,
    },
  };
};

/** The paper's CNN3 at its largest radius on a sixth of MNIST: wide enough that seeds differ little. */
const wide = (): Experiment => {
  const tuning: Tuning = {
    tight: PLAIN,
    rates: [0.001, 0.02],
    start: 0.005,
    sigma: [0.01, 0.1],
    startSigma: 0.03,
  };
  const [loose] = PLAIN;
  const of = [`${loose}`, 'ibp', `${loose}-rgs`];
  return {
    name: 'CNN3',
    title: 'MNIST, ε 0.3, CNN3, 10,000 training images',
    rows: [...plainRows(tuning, ['paradox', 'rgs']), ...smoothedRows('rgs', 2, tuning)].filter(({ name }) =>
      of.includes(name),
    ),
    comparisons: [...paradox(PLAIN), ...rgs(PLAIN)].filter(
      ({ better, worse }) => of.includes(better) && of.includes(worse),
    ),
    settings: {
      dataset: 'mnist',
      architecture: 'cnn3',
      epsilon: 0.3,
      batchSize: 128,
      select: 'last',
      ...{ trainLimit: 11_000, validation: 1000, epochs: 20, warmupEpochs: 10 },
    },
    ...{ trials: 4, seeds: 5, complete: 1, losses: LOSSES, lossImages: 256 },
  };
};

const SMOKE: readonly Experiment[] = [
  pooled({
    settings: { trainLimit: 600, validation: 100, epochs: 2, batchSize: 100 },
    rows: [...plainRows(POOLED_TUNING, ['paradox', 'rgs']), ...smoothedRows('rgs', 1, POOLED_TUNING)],
    comparisons: [...paradox(PLAIN), { claim: 'rgs', better: 'crown-rgs', worse: 'crown' }],
    ...{ trials: 1, seeds: 2, images: 100, lossImages: 32 },
  }),
  tiny({
    settings: { trainLimit: 300, validation: 100, epochs: 1, batchSize: 100 },
    ...{ trials: 1, seeds: 2, images: 100, lossImages: 32 },
  }),
];

const SMALL: readonly Experiment[] = [
  pooled({
    settings: { trainLimit: 11_000, validation: 1000, epochs: 40, warmupEpochs: 20 },
    ...{ complete: 1, tuningSeeds: 2, seeds: 10 },
  }),
  tiny({
    settings: { trainLimit: 11_000, validation: 1000, epochs: 80, warmupEpochs: 40 },
    ...{ complete: 1, seeds: 10 },
  }),
  wide(),
];

/** The paper's networks at the published budgets: for a GPU or many machines. */
const published = (
  name: string,
  settings: GivenSettings,
  { rates, start }: Pick<Tuning, 'rates' | 'start'>,
): Experiment => {
  const tuning: Tuning = { tight: NESTED, rates, start, sigma: [1e-3, 0.03], startSigma: 0.01 };
  return {
    name,
    title: `${settings.architecture} on ${settings.dataset}, published recipe`,
    settings: { ...settings, validation: 5000, select: 'last' },
    rows: [
      ...plainRows(tuning, ['paradox', 'rgs']),
      ...smoothedRows('rgs', 2, tuning),
      ...smoothedRows('pgpe', 32, tuning),
      ...methodRows(tuning),
      ...beyondRows(tuning),
      controlRow(32, tuning),
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
  };
};
const PUBLISHED = { rates: [1e-4, 5e-3], start: 5e-4 } as const;

const PAPER: readonly Experiment[] = [
  ...[0.1, 0.3].map((epsilon) =>
    published(`mnist-${epsilon}-cnn3`, { dataset: 'mnist', architecture: 'cnn3', epsilon }, PUBLISHED),
  ),
  ...(['cnn3', 'cnn5', 'cnn5-l'] as const).flatMap((architecture) =>
    [2, 8].map((radius) =>
      published(
        `cifar10-${radius}-${architecture}`,
        { dataset: 'cifar10', architecture, epsilon: radius / 255 },
        PUBLISHED,
      ),
    ),
  ),
];

const EXPERIMENTS: Readonly<Record<Scale, readonly Experiment[]>> = {
  smoke: SMOKE,
  small: SMALL,
  paper: PAPER,
};

/** Names of a scale's settings. */
export const settingNames = (scale: Scale): string[] => EXPERIMENTS[scale].map(({ name }) => name);

/** What is run to look at some claims: the experiments with the rows and comparisons that they need. */
export function experimentsFor(claims: readonly ClaimName[], scale: Scale): readonly Experiment[] {
  return EXPERIMENTS[scale]
    .map((experiment) => ({
      ...experiment,
      rows: experiment.rows.filter((row) => row.claims.some((claim) => claims.includes(claim))),
      comparisons: experiment.comparisons.filter(({ claim }) => claims.includes(claim)),
    }))
    .filter(({ comparisons }) => comparisons.length > 0);
}
