/**
 * Whether a network fulfils a property: a proof (`unsat`: no input of the boxes leads to an unsafe output), a
 * counterexample (`sat`), or neither within the limits.
 *
 *   attack → IBP → CROWN → α-CROWN → branch and bound, with further attacks beside it
 *
 * A proof is one of the real-number function of the network's weights, computed in float32 with the
 * allowances of `rounding.ts`; a counterexample rests on what the model itself answers (`counterexample.ts`).
 */
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import type { ParameterArrays } from '../../network/parameters.js';
import { crownIsAffordable } from '../../relaxation/linear/crown.js';
import type { Device } from '../../runtime/device/device.js';
import { createPool, type Pool } from '../../runtime/pool/pool.js';
import { splitsInputs } from '../branch-and-bound/search.js';
import { createContext, type VerificationContext } from '../proof/context.js';
import type { Counterexample, Evaluate } from '../proof/counterexample.js';
import type { Polytope, Property } from '../property/property.js';
import { createCompleteSearch } from './complete-search.js';
import { PropertyAttack } from './property-attack.js';
import { type RootProblem, rootBounds } from './root-bounds.js';

export const verificationStages = ['attack', 'ibp', 'crown', 'alpha-crown', 'branch-and-bound'] as const;
/** Stages of a verification, in their order. */
export type VerificationStage = (typeof verificationStages)[number];

/** How far a verification is. */
export interface VerifyProgress {
  readonly stage: VerificationStage;
  /** Boxes and parts of boxes bounded so far. */
  readonly subproblems: number;
  /** The least of the bounds of what is open: where it is positive, everything is proved. */
  readonly lowerBound?: number;
  readonly seconds: number;
}

export interface VerifyOptions {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  /**
   * Those that float32 does not hold, as the model's file has them: `sound` proofs are of these.
   */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  /** Whether the model computes in float64: then every proof is `sound`, of `exact`. */
  readonly double?: boolean;
  readonly property: Property;
  /** Wall clock (default: no limit). */
  readonly timeoutSeconds?: number;
  readonly memoryBytes?: number;
  /** Worker threads (default: as many as the processor runs at once). */
  readonly threads?: number;
  /** Where programs run (default cpu). */
  readonly device?: Device;
  /** What programs may take of a device's memory (default: most of what is free). */
  readonly deviceMegabytes?: number;
  /** Workers to use instead of own ones; left open. */
  readonly pool?: Pool;
  /**
   * Bounds in float64 less a bound of all their rounding errors: proofs that hold for adversarially chosen
   * weights too.
   */
  readonly sound?: boolean;
  /** Seed of everything random (default 0). */
  readonly seed?: number;
  /**
   * Outputs of the user's own model at x, which counterexamples are checked with (default: the network's).
   */
  readonly evaluate?: Evaluate;
  readonly progress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * The outcome of a verification: `unsat`, proved; `sat`, with a counterexample; or neither within the
 * limits.
 */
export interface Verification {
  readonly verdict: 'unsat' | 'sat' | 'timeout' | 'unknown';
  readonly counterexample?: Counterexample;
  /** What decided; null where nothing did. */
  readonly stage: VerificationStage | null;
  /** Boxes and parts of boxes bounded. */
  readonly subproblems: number;
  /** The least over polytopes of the best bound of c·y + d·x − b; left out where none was computed. */
  readonly lowerBound?: number;
  readonly seconds: number;
  /** Why there is no answer. */
  readonly reason?: string;
}

/**
 * Verifies one property.
 * @throws RangeError for a property of another size than the network; the reason of `signal` when it is
 *  aborted
 */
export async function verify(options: VerifyOptions): Promise<Verification> {
  const { network, parameters, property, timeoutSeconds = Number.POSITIVE_INFINITY } = options;
  checkSizes(network, property);
  if (!(timeoutSeconds > 0))
    throw new RangeError(`verify: expected a timeout above 0 seconds, got ${timeoutSeconds}`);
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const pool = options.pool ?? createPool(options.threads, options.device, options.deviceMegabytes);
  try {
    const { exact, evaluate, seed, signal } = options;
    const sound = options.sound || options.double;
    const context = createContext({ network, parameters, exact, pool, evaluate, seed, signal });
    return {
      ...(await search(context, { ...options, sound }, started + 1000 * timeoutSeconds, seconds)),
      seconds: seconds(),
    };
  } finally {
    if (options.pool === undefined) await pool.close();
  }
}

/** Boxes that are bounded one by one before the search. */
const MANY_BOXES = 16;

/** The stages one after another. */
async function search(
  context: VerificationContext,
  options: VerifyOptions,
  deadline: number,
  seconds: () => number,
): Promise<Omit<Verification, 'seconds'>> {
  const { polytopes } = options.property;
  const { signal } = context;
  let open = Array.from(polytopes.keys());
  const openPolytopes = () => open.map((index) => polytopes[index] as Polytope);
  let subproblems = 0;
  const bounds = polytopes.map(() => Number.NEGATIVE_INFINITY);
  /** With a bound of all that is open, which is one of each. */
  const lowerBound = (ofOpen = Number.NEGATIVE_INFINITY): { lowerBound?: number } => {
    const isOpen = new Set(open);
    const least = bounds.reduce(
      (a, bound, index) => Math.min(a, isOpen.has(index) ? Math.max(bound, ofOpen) : bound),
      Number.POSITIVE_INFINITY,
    );
    return Number.isFinite(least) ? { lowerBound: least } : {};
  };
  const late = () => performance.now() > deadline;
  const report = (stage: VerificationStage) =>
    options.progress?.({ stage, subproblems, ...lowerBound(), seconds: seconds() });

  report('attack');
  const attack = new PropertyAttack(context);
  const early = await attack.next(polytopes, { deadline });
  if (early) return { verdict: 'sat', counterexample: early, stage: 'attack', subproblems };

  const problem: RootProblem = { ...context, over: () => late() || signal?.aborted === true };
  // These bounds allow for rounding, but do not bound it; and a search that bounds many boxes at once does so
  // sooner.
  const many =
    new Set(polytopes.map(({ box }) => box)).size > MANY_BOXES && splitsInputs(context.network, polytopes);
  for (const stage of options.sound || many ? [] : (['ibp', 'crown'] as const)) {
    if (late() || (stage === 'crown' && !crownIsAffordable(context.network))) break;
    report(stage);
    const found = await rootBounds(problem, stage, openPolytopes());
    signal?.throwIfAborted();
    if (found === undefined) continue;
    subproblems = Math.max(subproblems, new Set(open.map((index) => polytopes[index]?.box)).size);
    open.forEach((index, k) => {
      bounds[index] = Math.max(bounds[index] as number, found[k]?.lower ?? Number.NEGATIVE_INFINITY);
    });
    open = open.filter((_, k) => !found[k]?.proved);
    report(stage);
    if (open.length === 0) return { verdict: 'unsat', stage, subproblems, ...lowerBound() };
  }
  if (late()) return { verdict: 'timeout', stage: null, subproblems, ...lowerBound() };

  const before = subproblems;
  const {
    verdict,
    counterexample,
    stage,
    reason = 'leaves',
    ...found
  } = await createCompleteSearch(context, options.sound)(openPolytopes(), {
    deadline,
    memoryBytes: options.memoryBytes,
    attack,
    progress: (state) =>
      options.progress?.({
        stage: state.stage,
        subproblems: before + state.subproblems,
        ...lowerBound(state.lowerBound),
        seconds: seconds(),
      }),
  });
  // A search that a counterexample ends knows no bound of what it leaves.
  const totals = {
    subproblems: before + found.subproblems,
    ...lowerBound(counterexample ? undefined : found.lowerBound),
  };
  if (counterexample)
    return {
      verdict: 'sat',
      counterexample: { ...counterexample, polytope: open[counterexample.polytope] as number },
      stage,
      ...totals,
    };
  if (verdict === 'proved') return { verdict: 'unsat', stage, ...totals };
  if (reason === 'time') return { verdict: 'timeout', stage: null, ...totals };
  return { verdict: 'unknown', stage: null, ...totals, reason: REASONS[reason] };
}

const REASONS = {
  memory: 'the open subproblems need more memory; allow more with --memory',
  leaves:
    'parts that cannot be divided any further are neither proved nor refuted: their margin is zero to ' +
    'rounding',
} as const;

function checkSizes(network: Network, { inputs, outputs }: Property): void {
  const features = featuresOf(network.input);
  if (inputs !== features || outputs !== network.classes)
    throw new RangeError(
      `verify: expected a property over the network's ${features} inputs and ${network.classes} outputs, ` +
        `got one over ${inputs} inputs and ${outputs} outputs`,
    );
}
