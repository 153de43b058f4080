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
  /** Tuning trials of each row: points of its space. */
  readonly trials: number;
  /** Trainings of each of them (default 1): what one lucky seed shows is not what others reach. */
  readonly tuningSeeds?: number;
  /** Seeds unless the user says how many. */
  readonly seeds: number;
  /** Test images (default: all) and seconds of branch and bound for each (default: none). */
  readonly images?: number;
  readonly complete?: number;
  /** Relaxations under which the loss of every trained network is measured, and on how many images. */
  readonly losses: readonly string[];
  readonly lossImages: number;
}

/** Two relaxations tighter than IBP, the looser first. */
type Tight = readonly [string, string];
/** By plain back-substitution, which is cheap; on single networks it may be looser than IBP. */
const PLAIN: Tight = ['crown-ibp', 'crown'];
/** Never looser than what stands before: IBP ≤ nested CROWN-IBP ≤ DeepPoly for every network. */
const NESTED: Tight = ['nested-crown-ibp', 'deeppoly'];

const rate = (from: number, to: number): Space => ({ learningRate: { from, to, scale: 'log' } });
const sigmas = (from: number, to: number): Space => ({ sigma: { from, to, scale: 'log' } });

interface Tuning {
  readonly tight: Tight;
  readonly rates: readonly [number, number];
  readonly start: number;
  readonly sigma: readonly [number, number];
  readonly startSigma: number;
}

/** Plain gradients under IBP and the tight relaxations. */
function plainRows({ rates, start, tight }: Tuning, claims: readonly ClaimName[]): Row[] {
  return ['ibp', ...tight].map((relaxation) => ({
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
  { rates, start, sigma, startSigma, tight }: Tuning,
): Row[] {
  return ['ibp', ...tight].map((relaxation) => ({
    name: `${relaxation}-${smoothing}`,
    claims: relaxation === tight[1] ? [smoothing, 'beyond'] : [smoothing],
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

/** What beyondRows change of RGS with the tighter relaxation, by what is put to its name. */
const CHANGES = ['antithetic', 'unbiased', 'relative', 'sabr'] as const;

/** Changes of RGS with the tighter relaxation; σ relative to the weights has a range of its own. */
function beyondRows({ rates, start, sigma, startSigma, tight }: Tuning): Row[] {
  const changes: Readonly<Record<(typeof CHANGES)[number], GivenSettings>> = {
    antithetic: { antithetic: true },
    unbiased: { unbiased: true },
    relative: { sigmaMode: 'relative' },
    sabr: { method: 'sabr', lambda: 0.7 },
  };
  return CHANGES.map((change) => {
    const settings = changes[change];
    const isRelative = change === 'relative';
    return {
      name: `${tight[1]}-rgs-${change}`,
      claims: ['beyond'],
      settings: { relaxation: tight[1], smoothing: 'rgs', samples: 2, ...settings },
      tune: { ...rate(...rates), ...(isRelative ? sigmas(0.03, 1) : sigmas(...sigma)) },
      start: { learningRate: start, sigma: isRelative ? 0.3 : startSigma },
    };
  });
}

/** PGPE about the gradient at θ instead of about nothing. */
const controlRow = (samples: number, { rates, start, sigma, startSigma, tight }: Tuning): Row => ({
  name: `${tight[1]}-pgpe-control`,
  claims: ['beyond'],
  settings: { relaxation: tight[1], smoothing: 'pgpe', samples, controlVariate: 'gradient' },
  tune: { ...rate(...rates), ...sigmas(...sigma) },
  start: { learningRate: start, sigma: startSigma },
});

const paradox = (tight: Tight): Comparison[] =>
  tight.map((worse) => ({ claim: 'paradox', better: 'ibp', worse }));
const rgs = (tight: Tight): Comparison[] =>
  tight.flatMap((relaxation) =>
    ['ibp', 'sabr', 'mtl-ibp', relaxation].map(
      (worse): Comparison => ({ claim: 'rgs', better: `${relaxation}-rgs`, worse }),
    ),
  );
const pgpe = ([loose, tight]: Tight): Comparison[] => [
  { claim: 'pgpe', better: `${loose}-pgpe`, worse: 'ibp-pgpe' },
  { claim: 'pgpe', better: `${tight}-pgpe`, worse: 'ibp-pgpe' },
  { claim: 'pgpe', better: `${tight}-pgpe`, worse: `${loose}-pgpe` },
];
const beyondRgs = ([, tight]: Tight): Comparison[] =>
  CHANGES.map((change) => ({ claim: 'beyond', better: `${tight}-rgs-${change}`, worse: `${tight}-rgs` }));
const beyondPgpe = ([, tight]: Tight): Comparison => ({
  claim: 'beyond',
  better: `${tight}-pgpe-control`,
  worse: `${tight}-pgpe`,
});

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
