/**
 * The normal numbers of many keys, made where the programs run, for the two things smoothing does with them:
 * parameters θ ± σ∘z of a population, and weighted sums of z.
 *
 * z takes some eight hundred operators on a device without bitwise ones, whatever its size, so one run makes
 * it for several calls; it stays on the device, and is made again only where it does not fit there until the
 * sums are wanted.
 */

import {
  add,
  concat,
  div,
  gemm,
  input,
  reshape,
  slice,
  square,
  sub,
  sum,
  type Tensor,
} from '../../graph/index.js';
import { programPlan } from '../plan/compile.js';
import type { Plan } from '../plan/plan.js';
import { normalsOf } from '../random/normal-graph.js';
import type { CoordinateRange } from '../random/normals.js';

/** Most keys of one call: float32 sums of more would lose more than the normals themselves have lost. */
export const MOST_KEYS = 64;

/** Bytes for each number of z while it is made: seven arrays of the length of z are alive at once. */
const BYTES_PER_NORMAL = 4 * 7;

export interface NormalPrograms {
  /** Keys of one call, and how many coordinates each has. */
  readonly keys: number;
  readonly size: number;
  /** Calls whose z one run makes. */
  readonly calls: number;
  /** From `keys` [calls · keys, 2] to `z 0`, `z 1`, … of each call, [keys, size]. */
  readonly make: Plan;
  /**
   * From `z` of a call and `first weights` [1, keys] to the sum `first` [1, size]; with `second weights` to
   * `second` also.
   */
  readonly weigh: Plan;
  readonly weighBoth: Plan;
}

/** The name of a call's numbers in the plan `make`. */
export const normalsName = (call: number): string => `z ${call}`;

/** Σ_i first[i]·z_i and Σ_i second[i]·(z_i² − 1), [1, size] each, of z [keys, size] and weights [1, keys]. */
const weightedSums = (z: Tensor, first: Tensor, second?: Tensor): Record<string, Tensor> => ({
  first: gemm(first, z),
  ...(second === undefined ? {} : { second: gemm(second, sub(square(z), 1)) }),
});

/**
 * Scores of N(θ, diag σ²) at the points of a call. `begin` takes `z` [keys, size], `first weights` [1, keys]
 * and what σ is made of to `first` [size] = Σ_i first[i]·z_i/σ. With `second weights` they also give
 * `second`, that of Σ_i second[i]·(z_i² − 1), which is σ∂/∂σ: the means over groups of coordinates, or that
 * of each coordinate. `more` adds what `keeps` names to the sums so far, `first so far` and `second so far`.
 */
export interface ScorePrograms {
  readonly begin: Plan;
  readonly more: Plan;
  /** Outputs that may stay on the device: vectors of the length of θ. */
  readonly keeps: readonly string[];
}

export interface ScoreOptions {
  /** σ, [1] or [size], a function of inputs. */
  readonly sigma: Tensor;
  /** Whether ∂/∂σ is wanted: of groups of coordinates, one after the other and all of them, or of each. */
  readonly second?: readonly CoordinateRange[] | 'each';
  /** Whether that of each stays, too. */
  readonly keepsSecond?: boolean;
}

export function scorePrograms(
  keys: number,
  size: number,
  { sigma, second, keepsSecond = false }: ScoreOptions,
): ScorePrograms {
  const z = input('z', [keys, size]);
  const weights = (name: string) => input(`${name} weights`, [1, keys]);
  const sums = weightedSums(z, weights('first'), second && weights('second'));
  const begin: Record<string, Tensor> = { first: div(reshape(sums.first as Tensor, [size]), sigma) };
  if (second !== undefined) {
    const relative = sums.second as Tensor;
    const mean = ({ offset, size: n }: CoordinateRange) =>
      div(sum(slice(relative, 1, offset, offset + n), [1]), n);
    const groups = second === 'each' ? relative : concat(second.map(mean), 1);
    begin.second = reshape(groups, [groups.shape[1] as number]);
  }
  const keeps = second === 'each' && keepsSecond ? ['first', 'second'] : ['first'];
  const soFar = keeps.map(
    (name) => [name, add(begin[name] as Tensor, input(`${name} so far`, [size]))] as const,
  );
  return { begin: programPlan(begin), more: programPlan({ ...begin, ...Object.fromEntries(soFar) }), keeps };
}

/** Programs for at most `calls` calls a run: as many as take `bytes` bytes, but one at least. */
export function normalPrograms(keys: number, size: number, calls: number, bytes: number): NormalPrograms {
  if (!(keys >= 1 && keys <= MOST_KEYS && size >= 1))
    throw new RangeError(
      `normalPrograms: expected 1 to ${MOST_KEYS} keys and coordinates, got ${keys} and ${size}`,
    );
  const perRun = Math.max(1, Math.min(calls, Math.floor(bytes / (BYTES_PER_NORMAL * keys * size))));
  const all = normalsOf(input('keys', [perRun * keys, 2], 'int32'), size);
  const parts = Array.from(
    { length: perRun },
    (_, call) => [normalsName(call), slice(all, 0, call * keys, (call + 1) * keys)] as const,
  );
  const z = input('z', [keys, size]);
  const weights = (name: string) => input(`${name} weights`, [1, keys]);
  return {
    keys,
    size,
    calls: perRun,
    make: programPlan(Object.fromEntries(parts)),
    weigh: programPlan(weightedSums(z, weights('first'))),
    weighBoth: programPlan(weightedSums(z, weights('first'), weights('second'))),
  };
}
