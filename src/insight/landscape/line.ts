/**
 * Losses along a line θ + t·d, raw and smoothed.
 *
 * Smoothed is L_σ(θ) = E_z L(θ + σz), z ∼ N(0, I), by Monte Carlo over antithetic pairs with the same z at
 * every t. The band is ± 1.96 standard errors of the mean over pairs.
 */
import type { Key } from '../../runtime/random/keys.js';
import { deriveKey } from '../../runtime/random/keys.js';
import { moved } from './direction.js';
import { jumpsOf, type Measures, roughnessOf, sensitivityOf, tightnessOf } from './measures.js';
import type { PairValues, Surface } from './surface.js';

export interface LineOptions {
  /** Losses to compare, by name. */
  readonly surfaces: Readonly<Record<string, Surface>>;
  readonly theta: Float32Array;
  /** As long as θ. */
  readonly direction: Float32Array;
  /** t goes from −span to span. */
  readonly span: number;
  /** Number of points, odd so that 0 is among them. */
  readonly points: number;
  /** σ of smoothing, in the units of the parameters; 0 is the loss itself. */
  readonly sigmas: readonly number[];
  /** Antithetic pairs for each point. */
  readonly samples: number;
  readonly key: Key;
  /** Intervals of a smoothed loss that are searched for jumps (default 3; of the loss itself all are). */
  readonly searched?: number;
  /** Curves done, and all. */
  readonly progress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** One loss along the line. */
export interface Curve extends Measures {
  readonly relaxation: string;
  readonly sigma: number;
  readonly values: readonly number[];
  /** 1.96 standard errors of each value; empty where nothing is random. */
  readonly errors: readonly number[];
  /** The same of each value less that at t = 0: smaller, as both have the same perturbations. */
  readonly changeErrors: readonly number[];
}

export interface LineScan {
  readonly t: readonly number[];
  readonly curves: readonly Curve[];
}

/** Mean of each antithetic pair. */
export const pairMeans = ({ plus, minus }: PairValues): number[] =>
  Array.from(plus, (value, i) => (value + (minus[i] as number)) / 2);

export const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Standard error of the mean; not a number for one value. */
function standardError(values: readonly number[]): number {
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return values.length > 1 ? Math.sqrt(squares / (values.length - 1) / values.length) : Number.NaN;
}

/** Values and measures of every loss at every σ. @throws the reason of `signal` */
export async function scanLine(options: LineOptions): Promise<LineScan> {
  const { surfaces, theta, direction, span, points, sigmas, samples, key, searched = 3, signal } = options;
  const t = Array.from({ length: points }, (_, i) => span * ((2 * i) / (points - 1) - 1));
  const keys = Array.from({ length: samples }, (_, i) => deriveKey(key, i, 0));
  const names = Object.keys(surfaces);
  let done = 0;
  const curves: Omit<Curve, 'tightness'>[] = [];
  for (const sigma of sigmas)
    for (const relaxation of names) {
      const surface = surfaces[relaxation] as Surface;
      /** L of each pair of perturbations, or L itself. */
      const at = async (where: number): Promise<readonly number[]> => {
        signal?.throwIfAborted();
        const point = moved(theta, [where, direction]);
        return sigma === 0
          ? [await surface.value(point)]
          : pairMeans(await surface.pairs(point, sigma, keys));
      };
      const found = await Promise.all(t.map(at));
      const values = found.map(meanOf);
      const line = async (where: number) => meanOf(await at(where));
      curves.push({
        relaxation,
        sigma,
        values,
        ...(sigma === 0 ? { errors: [], changeErrors: [] } : errorsOf(found)),
        jumps: await jumpsOf(line, t, values, sigma === 0 ? points : searched),
        sensitivity: sensitivityOf(t, values),
        roughness: roughnessOf(values),
      });
      options.progress?.(++done, sigmas.length * names.length);
    }
  return { t, curves: withTightness(curves) };
}

/** 1.96 standard errors of values, and of their changes from the middle one, pair by pair. */
function errorsOf(found: readonly (readonly number[])[]): Pick<Curve, 'errors' | 'changeErrors'> {
  const middle = found[(found.length - 1) / 2] as readonly number[];
  const changes = found.map((values) => values.map((value, i) => value - (middle[i] as number)));
  const band = (of: readonly (readonly number[])[]) => of.map((values) => 1.96 * standardError(values));
  return { errors: band(found), changeErrors: band(changes) };
}

/** Tightness compares the relaxations at one σ. */
const withTightness = (curves: readonly Omit<Curve, 'tightness'>[]): Curve[] =>
  curves.map((curve) => {
    const alike = curves.filter(({ sigma }) => sigma === curve.sigma);
    const all = tightnessOf(alike.map(({ values }) => values));
    return { ...curve, tightness: all[alike.indexOf(curve)] as number };
  });
