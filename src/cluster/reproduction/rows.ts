/** Rows of an experiment: ways to train, what of each is tuned, and which differences would show a claim. */
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { Assignment } from '../search/parameter.js';
import type { Space } from '../search/space.js';
import type { ClaimName, Comparison, Row } from './claims.js';

/** Relaxations tighter than IBP, the looser first; what is beyond the paper is tried with the second. */
export type Tight = readonly [string, string, ...string[]];
/** By plain back-substitution, which is cheap; on single networks it may be looser than IBP. */
export const PLAIN: Tight = ['crown-ibp', 'crown'];
/** Never looser than what stands before: IBP ≤ nested CROWN-IBP ≤ DeepPoly for every network. */
export const NESTED: Tight = ['nested-crown-ibp', 'deeppoly'];
export const EVERY: Tight = [...PLAIN, ...NESTED];

const rate = (from: number, to: number): Space => ({ learningRate: { from, to, scale: 'log' } });
const sigmas = (from: number, to: number): Space => ({ sigma: { from, to, scale: 'log' } });

export interface Tuning {
  readonly tight: Tight;
  readonly rates: readonly [number, number];
  readonly start: number;
  readonly sigma: readonly [number, number];
  readonly startSigma: number;
}

/** Plain gradients under IBP and the tight relaxations. */
export function plainRows({ rates, start, tight }: Tuning, claims: readonly ClaimName[]): Row[] {
  return ['ibp', ...tight].map((relaxation) => ({
    name: relaxation,
    claims,
    settings: { relaxation },
    tune: rate(...rates),
    start: { learningRate: start },
  }));
}

export function smoothedRows(
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
export function methodRows({ rates, start }: Tuning): Row[] {
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
const CHANGES = ['antithetic', 'unbiased', 'relative', 'sabr', 'curriculum'] as const;

/** Changes of RGS with the tighter relaxation; σ relative to the weights has a range of its own. */
export function beyondRows({ rates, start, sigma, startSigma, tight }: Tuning): Row[] {
  const changes: Readonly<Record<(typeof CHANGES)[number], GivenSettings>> = {
    antithetic: { antithetic: true },
    unbiased: { unbiased: true },
    relative: { sigmaMode: 'relative' },
    sabr: { method: 'sabr', lambda: 0.7 },
    // β grows while ε does.
    curriculum: { curriculum: 'ibp' },
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
export const controlRow = (samples: number, { rates, start, sigma, startSigma, tight }: Tuning): Row => ({
  name: `${tight[1]}-pgpe-control`,
  claims: ['beyond'],
  settings: { relaxation: tight[1], smoothing: 'pgpe', samples, controlVariate: 'gradient' },
  tune: { ...rate(...rates), ...sigmas(...sigma) },
  start: { learningRate: start, sigma: startSigma },
});

export const paradox = (tight: Tight): Comparison[] =>
  tight.map((worse) => ({ claim: 'paradox', better: 'ibp', worse }));
export const rgs = (tight: Tight): Comparison[] =>
  tight.flatMap((relaxation) =>
    ['ibp', 'sabr', 'mtl-ibp', relaxation].map(
      (worse): Comparison => ({ claim: 'rgs', better: `${relaxation}-rgs`, worse }),
    ),
  );
export const pgpe = ([loose, tight]: Tight): Comparison[] => [
  { claim: 'pgpe', better: `${loose}-pgpe`, worse: 'ibp-pgpe' },
  { claim: 'pgpe', better: `${tight}-pgpe`, worse: 'ibp-pgpe' },
  { claim: 'pgpe', better: `${tight}-pgpe`, worse: `${loose}-pgpe` },
];
export const beyondRgs = ([, tight]: Tight): Comparison[] =>
  CHANGES.map((change) => ({ claim: 'beyond', better: `${tight}-rgs-${change}`, worse: `${tight}-rgs` }));
export const beyondPgpe = ([, tight]: Tight): Comparison => ({
  claim: 'beyond',
  better: `${tight}-pgpe-control`,
  worse: `${tight}-pgpe`,
});
