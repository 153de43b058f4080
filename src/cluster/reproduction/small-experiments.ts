/**
 * The settings of `--scale small`, for one machine, and of `--scale smoke`, which only shows that everything
 * works. Those that are optional search wider and are run where they are named.
 */
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { Experiment, Row } from './claims.js';
import {
  beyondPgpe,
  beyondRgs,
  beyondRows,
  controlRow,
  EVERY,
  methodRows,
  PLAIN,
  paradox,
  pgpe,
  plainRows,
  rgs,
  smoothedRows,
  type Tight,
  type Tuning,
} from './rows.js';

const MEASURED = { losses: ['ibp', 'hbox', 'deepz', ...EVERY], lossImages: 256 } as const;
/** 10,000 images to train with, 1,000 held out. */
const SUBSET = { trainLimit: 11_000, validation: 1000 } as const;

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

/** Images of a program call that the published rows with CROWN had: bits depend on it. */
const asPublished = (rows: readonly Row[]): Row[] =>
  rows.map((row) =>
    row.settings.relaxation === 'crown' ? { ...row, settings: { ...row.settings, microBatch: 16 } } : row,
  );

const pooled = (more: Partial<Experiment> & { settings: GivenSettings }): Experiment => ({
  name: 'S2',
  title: 'MNIST max-pooled to 14×14, ε 0.2, conv 4@5 s2 p2, conv 8@4 s2 p1, linear (1,354 parameters)',
  rows: asPublished([
    ...plainRows(POOLED_TUNING, ['paradox', 'rgs']),
    ...smoothedRows('rgs', 2, POOLED_TUNING),
    ...methodRows(POOLED_TUNING),
    ...beyondRows(POOLED_TUNING),
  ]),
  comparisons: [...paradox(PLAIN), ...rgs(PLAIN), ...beyondRgs(PLAIN)],
  trials: 6,
  seeds: 5,
  ...MEASURED,
  ...more,
  settings: { ...POOLED, ...more.settings },
});

/** PGPE of 32 pairs beside plain gradients. */
const byPairs = (): Pick<Experiment, 'rows' | 'comparisons'> => {
  const tuning: Tuning = {
    ...{ tight: PLAIN, rates: [0.001, 0.05], start: 0.01, sigma: [0.005, 0.1], startSigma: 0.02 },
  };
  return {
    rows: asPublished([
      ...plainRows(tuning, ['pgpe']),
      ...smoothedRows('pgpe', 32, tuning),
      controlRow(32, tuning),
    ]),
    comparisons: [...pgpe(PLAIN), beyondPgpe(PLAIN)],
  };
};

/** A network of 520 parameters, for which PGPE can afford to converge. */
const tiny = (more: Partial<Experiment> & { settings: GivenSettings }): Experiment => ({
  name: 'T',
  title: 'MNIST max-pooled to 7×7, ε 0.1, conv 3@3 s2 p1, linear (520 parameters)',
  ...byPairs(),
  trials: 4,
  seeds: 5,
  ...MEASURED,
  ...more,
  settings: {
    ...POOLED,
    pool: '4 max',
    architecture: 'conv 3@3 s2 p1, linear',
    epsilon: 0.1,
    ...more.settings,
  },
});

/** S2's network at half its radius, where PGPE has three times T's parameters. */
const larger = (): Experiment => ({
  name: 'S',
  title: 'MNIST max-pooled to 14×14, ε 0.1, conv 4@5 s2 p2, conv 8@4 s2 p1, linear (1,354 parameters)',
  ...byPairs(),
  settings: { ...POOLED, ...SUBSET, epsilon: 0.1, epochs: 80, warmupEpochs: 40 },
  ...{ trials: 4, seeds: 5, complete: 1, ...MEASURED, optional: true },
});

/** Plain gradients and RGS under every bound, and the IBP-based methods. */
const searched = (tuning: Tuning): Pick<Experiment, 'rows' | 'comparisons'> => ({
  rows: [
    ...plainRows(tuning, ['paradox', 'rgs']),
    ...smoothedRows('rgs', 2, tuning).filter(({ name }) => name !== 'ibp-rgs'),
    ...methodRows(tuning),
  ],
  comparisons: [...paradox(tuning.tight), ...rgs(tuning.tight)],
});

/** The paper's CNN3 at its largest radius on a sixth of MNIST: wide enough that seeds differ little. */
const WIDE: Experiment = {
  name: 'CNN3',
  title: 'MNIST, ε 0.3, CNN3, 10,000 training images',
  ...searched({
    tight: EVERY,
    rates: [0.001, 0.02],
    start: 0.005,
    sigma: [0.01, 0.1],
    startSigma: 0.03,
  }),
  settings: {
    dataset: 'mnist',
    architecture: 'cnn3',
    epsilon: 0.3,
    batchSize: 128,
    select: 'last',
    ...{ ...SUBSET, epochs: 20, warmupEpochs: 10 },
  },
  usualRows: ['ibp', 'crown-ibp', 'crown-ibp-rgs'],
  ...{ trials: 4, seeds: 5, complete: 1, ...MEASURED },
};

/** CNN3 on all of MNIST, near the published rates: a day on two cores. */
const full = (epsilon: number): Experiment => {
  const tight: Tight = ['crown-ibp', 'deeppoly'];
  const tuning: Tuning = {
    ...{ tight, rates: [3e-4, 3e-3], start: 5e-4, sigma: [3e-3, 0.03], startSigma: 0.01 },
  };
  return {
    name: `full-${epsilon}`,
    title: `all of MNIST, ε ${epsilon}, CNN3`,
    rows: [...plainRows(tuning, ['paradox', 'rgs']), ...smoothedRows('rgs', 2, tuning)],
    comparisons: [
      ...paradox(tight),
      ...tight.flatMap((bound) =>
        ['ibp', bound].map((worse) => ({ claim: 'rgs' as const, better: `${bound}-rgs`, worse })),
      ),
    ],
    settings: {
      ...{ dataset: 'mnist', architecture: 'cnn3', epsilon, validation: 1000, epochs: 20, select: 'last' },
    },
    ...{ trials: 2, seeds: 3, complete: 1, ...MEASURED, optional: true },
  };
};

/**
 * S2 changed in one thing, with every bound: how far the paradox was searched for. A program call takes the
 * whole batch: networks of this size take up to three times as long with 16 images.
 */
const changed = (name: string, title: string, settings: GivenSettings): Experiment => ({
  name,
  title,
  ...searched({ ...POOLED_TUNING, tight: EVERY }),
  settings: { ...POOLED, ...SUBSET, epochs: 40, warmupEpochs: 20, microBatch: 128, ...settings },
  ...{ trials: 6, seeds: 5, complete: 1, ...MEASURED, optional: true },
});

const TEST = { images: 100, lossImages: 32 } as const;

export const SMOKE: readonly Experiment[] = [
  pooled({
    settings: { trainLimit: 600, validation: 100, epochs: 2, batchSize: 100 },
    rows: [...plainRows(POOLED_TUNING, ['paradox', 'rgs']), ...smoothedRows('rgs', 1, POOLED_TUNING)],
    comparisons: [...paradox(PLAIN), { claim: 'rgs', better: 'crown-rgs', worse: 'crown' }],
    ...{ trials: 1, seeds: 2, ...TEST },
  }),
  tiny({
    settings: { trainLimit: 300, validation: 100, epochs: 1, batchSize: 100 },
    ...{ trials: 1, seeds: 2, ...TEST },
  }),
];

export const SMALL: readonly Experiment[] = [
  pooled({
    settings: { ...SUBSET, epochs: 40, warmupEpochs: 20 },
    ...{ complete: 1, tuningSeeds: 2, seeds: 10 },
  }),
  tiny({
    settings: { ...SUBSET, epochs: 80, warmupEpochs: 40 },
    ...{ complete: 1, seeds: 10 },
  }),
  WIDE,
  full(0.1),
  full(0.3),
  changed('S2-wide', 'S2 with twice the channels: conv 8@5 s2 p2, conv 16@4 s2 p1, linear', {
    architecture: 'conv 8@5 s2 p2, conv 16@4 s2 p1, linear',
  }),
  changed('S2-deep', 'S2 with a layer more: conv 4@5 s2 p2, conv 8@3 p1, conv 8@4 s2 p1, linear', {
    architecture: 'conv 4@5 s2 p2, conv 8@3 p1, conv 8@4 s2 p1, linear',
  }),
  changed('S2-cifar10', 'CIFAR-10 max-pooled to 16×16, ε 2/255, conv 8@5 s2 p2, conv 16@4 s2 p1, linear', {
    dataset: 'cifar10',
    architecture: 'conv 8@5 s2 p2, conv 16@4 s2 p1, linear',
    epsilon: 2 / 255,
    augmentation: 'none',
  }),
  larger(),
];
