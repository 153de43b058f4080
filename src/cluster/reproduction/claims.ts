/**
 * The claims of the paper as experiments: in which setting, which rows are trained, what of each is tuned,
 * and which differences would show a claim.
 *
 * 1. paradox: with plain gradients a tighter relaxation trains a worse network than IBP (Jovanović 2022).
 * 2. pgpe: with PGPE tighter is better.
 * 3. rgs: RGS with a tight relaxation beats the best of the IBP-based methods on the same architecture.
 *
 * beyond: what the paper has not, each against the row that it would improve: antithetic and unbiased RGS, σ
 * relative to the weights, SABR with a tight bound and RGS, PGPE with a control variate.
 *
 * Every row of a setting gets the same number of steps, and as many tuning trials as any other.
 */
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { Assignment } from '../search/parameter.js';
import type { Space } from '../search/space.js';

export const CLAIMS = ['paradox', 'pgpe', 'rgs', 'beyond'] as const;
export type ClaimName = (typeof CLAIMS)[number];
export const SCALES = ['smoke', 'small', 'paper'] as const;
export type Scale = (typeof SCALES)[number];

/** One way to train. */
export interface Row {
  readonly name: string;
  readonly claims: readonly ClaimName[];
  readonly settings: GivenSettings;
  /** What is tuned, and where tuning begins. */
  readonly tune: Space;
  readonly start: Assignment;
}

/** A difference of certified accuracy, `better` minus `worse`, that a claim says is above 0. */
export interface Comparison {
  readonly claim: ClaimName;
  readonly better: string;
  readonly worse: string;
}

/** A data set, a radius, a network and a budget, with all rows that are trained there. */
export interface Experiment {
  readonly name: string;
  /** One line about it. */
  readonly title: string;
  readonly settings: GivenSettings;
  readonly rows: readonly Row[];
  readonly comparisons: readonly Comparison[];
  /** Tuning trials of each row. */
  readonly trials: number;
  /** Seeds unless the user says how many. */
  readonly seeds: number;
  /** Test images (default: all) and seconds of branch and bound for each (default: none). */
  readonly images?: number;
  readonly complete?: number;
  /** Relaxations under which the loss of every trained network is measured, and on how many images. */
  readonly losses: readonly string[];
  readonly lossImages: number;
}

/** The relaxations that claims are about, loose to tight. */
const TIGHT = ['crown-ibp', 'crown'] as const;

const rate = (from: number, to: number): Space => ({ learningRate: { from, to, scale: 'log' } });
const sigmas = (from: number, to: number): Space => ({ sigma: { from, to, scale: 'log' } });

interface Tuning {
  readonly rates: readonly [number, number];
  readonly start: number;
  readonly sigma: readonly [number, number];
  readonly startSigma: number;
}

/** Plain gradients under IBP and the tight relaxations. */
function plainRows({ rates, start }: Tuning, claims: readonly ClaimName[]): Row[] {
  return ['ibp', ...TIGHT].map((relaxation) => ({
    name: relaxation,
    claims,
    settings: { relaxation },
    tune: rate(...rates),
    start: { learningRate: start },
  }));
}

function smoothedRows(
  smoothing: 'rgs' | 'pgpe',
  samples: number,
  { rates, start, sigma, startSigma }: Tuning,
): Row[] {
  return ['ibp', ...TIGHT].map((relaxation) => ({
    name: `${relaxation}-${smoothing}`,
    claims: relaxation === 'crown' ? [smoothing, 'beyond'] : [smoothing],
    settings: { relaxation, smoothing, samples },
    tune: { ...rate(...rates), ...sigmas(...sigma) },
    start: { learningRate: start, sigma: startSigma },
  }));
}

/** The IBP-based methods of the field, with their own trade-off tuned. */
function methodRows({ rates, start }: Tuning): Row[] {
  const knobs: readonly (readonly ['sabr' | 'mtl-ibp', Space, Assignment])[] = [
    ['sabr', { lambda: { from: 0.1, to: 0.9 } }, { lambda: 0.4 }],
    ['mtl-ibp', { alpha: { from: 0.02, to: 0.9, scale: 'log' } }, { alpha: 0.5 }],
  ];
  return knobs.map(([method, knob, at]) => ({
    name: method,
    claims: ['rgs'],
    settings: { method },
    tune: { ...rate(...rates), ...knob },
    start: { learningRate: start, ...at },
  }));
}

/** Changes of crown-rgs by name; σ relative to the weights has a range of its own. */
function beyondRows({ rates, start, sigma, startSigma }: Tuning): Row[] {
  const changes: readonly (readonly [string, GivenSettings])[] = [
    ['crown-rgs-antithetic', { antithetic: true }],
    ['crown-rgs-unbiased', { unbiased: true }],
    ['crown-rgs-relative', { sigmaMode: 'relative' }],
    ['sabr-crown-rgs', { method: 'sabr', lambda: 0.7 }],
  ];
  return changes.map(([name, settings]) => {
    const isRelative = settings.sigmaMode === 'relative';
    return {
      name,
      claims: ['beyond'],
      settings: { relaxation: 'crown', smoothing: 'rgs', samples: 2, ...settings },
      tune: { ...rate(...rates), ...(isRelative ? sigmas(0.03, 1) : sigmas(...sigma)) },
      start: { learningRate: start, sigma: isRelative ? 0.3 : startSigma },
    };
  });
}

/** PGPE about the gradient at θ instead of about nothing. */
const controlRow = (samples: number, { rates, start, sigma, startSigma }: Tuning): Row => ({
  name: 'crown-pgpe-control',
  claims: ['beyond'],
  settings: { relaxation: 'crown', smoothing: 'pgpe', samples, controlVariate: 'gradient' },
  tune: { ...rate(...rates), ...sigmas(...sigma) },
  start: { learningRate: start, sigma: startSigma },
});

const BEYOND: readonly Comparison[] = [
  ...['crown-rgs-antithetic', 'crown-rgs-unbiased', 'crown-rgs-relative', 'sabr-crown-rgs'],
].map((better) => ({ claim: 'beyond', better, worse: 'crown-rgs' }));
const CONTROL: Comparison = { claim: 'beyond', better: 'crown-pgpe-control', worse: 'crown-pgpe' };

const PARADOX: readonly Comparison[] = TIGHT.map((worse) => ({ claim: 'paradox', better: 'ibp', worse }));
const RGS: readonly Comparison[] = TIGHT.flatMap((relaxation) =>
  ['ibp', 'sabr', 'mtl-ibp', relaxation].map((worse) => ({
    claim: 'rgs',
    better: `${relaxation}-rgs`,
    worse,
  })),
);
const PGPE: readonly Comparison[] = [
  { claim: 'pgpe', better: 'crown-ibp-pgpe', worse: 'ibp-pgpe' },
  { claim: 'pgpe', better: 'crown-pgpe', worse: 'ibp-pgpe' },
  { claim: 'pgpe', better: 'crown-pgpe', worse: 'crown-ibp-pgpe' },
];

const LOSSES = ['ibp', 'hbox', 'deepz', 'crown-ibp', 'crown'] as const;

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
const POOLED_TUNING: Tuning = { rates: [0.002, 0.05], start: 0.015, sigma: [0.02, 0.2], startSigma: 0.1 };

const pooled = (more: Partial<Experiment> & { settings: GivenSettings }): Experiment => ({
  name: 'S2',
  title: 'MNIST max-pooled to 14×14, ε 0.2, conv 4@5 s2 p2, conv 8@4 s2 p1, linear (1,354 parameters)',
  rows: [
    ...plainRows(POOLED_TUNING, ['paradox', 'rgs']),
    ...smoothedRows('rgs', 2, POOLED_TUNING),
    ...methodRows(POOLED_TUNING),
    ...beyondRows(POOLED_TUNING),
  ],
  comparisons: [...PARADOX, ...RGS, ...BEYOND],
  trials: 6,
  seeds: 5,
  losses: LOSSES,
  lossImages: 256,
  ...more,
  settings: { ...POOLED, ...more.settings },
});

/** A network of 520 parameters, for which PGPE can afford to converge. */
const tiny = (more: Partial<Experiment> & { settings: GivenSettings }): Experiment => {
  const tuning: Tuning = { rates: [0.001, 0.05], start: 0.01, sigma: [0.005, 0.1], startSigma: 0.02 };
  return {
    name: 'T',
    title: 'MNIST max-pooled to 7×7, ε 0.1, conv 3@3 s2 p1, linear (520 parameters)',
    rows: [...plainRows(tuning, ['pgpe']), ...smoothedRows('pgpe', 32, tuning), controlRow(32, tuning)],
    comparisons: [...PGPE, CONTROL],
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

const SMOKE: readonly Experiment[] = [
  pooled({
    settings: { trainLimit: 600, validation: 100, epochs: 2, batchSize: 100 },
    rows: [...plainRows(POOLED_TUNING, ['paradox', 'rgs']), ...smoothedRows('rgs', 1, POOLED_TUNING)],
    comparisons: [...PARADOX, { claim: 'rgs', better: 'crown-rgs', worse: 'crown' }],
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
    complete: 1,
  }),
  tiny({
    settings: { trainLimit: 11_000, validation: 1000, epochs: 80, warmupEpochs: 40 },
    complete: 1,
  }),
];

/** The paper's networks at the published budgets: for a GPU or many machines. */
const published = (
  name: string,
  settings: GivenSettings,
  { rates, ...rest }: Omit<Tuning, 'sigma' | 'startSigma'>,
): Experiment => {
  const tuning: Tuning = { rates, ...rest, sigma: [1e-3, 0.03], startSigma: 0.01 };
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
    comparisons: [...PARADOX, ...RGS, ...PGPE, ...BEYOND, CONTROL],
    trials: 8,
    seeds: 5,
    complete: 60,
    losses: ['ibp', 'crown-ibp', 'crown'],
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
