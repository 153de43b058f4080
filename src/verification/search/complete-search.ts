/**
 * The complete search for one set of polytopes: branch and bound on what cheap bounds leave open, with
 * attacks beside it, less and less often. One search after another shares the programs, which are compiled
 * once for a network.
 */
import { parameterCount, parameterLayout } from '../../network/parameters.js';
import { withSmallerChunk } from '../../runtime/device/halving.js';
import type { Feeds } from '../../runtime/execution/session.js';
import type { Engine } from '../branch-and-bound/engine.js';
import { type Front, frontOf } from '../branch-and-bound/front.js';
import { columnsFor } from '../branch-and-bound/hidden-bounds.js';
import { search as branchAndBound, type SearchStage } from '../branch-and-bound/search.js';
import { doublesOf, numbersOf, type VerificationContext } from '../proof/context.js';
import { type Counterexample, confirm } from '../proof/counterexample.js';
import { TooLate, untilDeadline } from '../proof/deadline.js';
import type { BoxTrace } from '../proof/trace.js';
import type { Polytope } from '../property/property.js';
import { PropertyAttack } from './property-attack.js';

export interface CompleteSearchOptions {
  /**
   * The sets that counterexamples must lie in, one for each polytope (default: the polytopes, which may be
   * larger for the sake of sound proofs).
   */
  readonly targets?: readonly Polytope[];
  /** Time of `performance.now()` at which the search gives up. */
  readonly deadline: number;
  /** Bytes that open subproblems may take (default 2 GiB). */
  readonly memoryBytes?: number;
  /** Attacks whose rounds go on (default: from the first). */
  readonly attack?: PropertyAttack;
  /** Whether the result is to say how all was proved. */
  readonly traced?: boolean;
  readonly progress?: (state: {
    readonly stage: SearchStage;
    readonly subproblems: number;
    readonly lowerBound: number;
  }) => void;
}

export interface CompleteSearchResult {
  readonly verdict: 'proved' | 'found' | 'open';
  /** Stage that found or proved it; of what is open, the one that the search came to. */
  readonly stage: SearchStage | 'attack';
  /** Its polytope is the number of one of the polytopes searched. */
  readonly counterexample?: Counterexample;
  readonly subproblems: number;
  /** Lower bound of what is open beside what would prove it. */
  readonly lowerBound: number;
  /** Reason for which it is open: no time or memory left, or parts that cannot be divided any further. */
  readonly reason?: 'time' | 'memory' | 'leaves';
  /** How all was proved. */
  readonly traces?: readonly BoxTrace[];
}

/**
 * Searches polytopes of at least one inequality each. @throws the reason of the context's signal when it is
 * aborted
 */
export type CompleteSearch = (
  polytopes: readonly Polytope[],
  options: CompleteSearchOptions,
) => Promise<CompleteSearchResult>;

/** The engine of the network behind a front, whose parameters are the rest of θ. */
function engineBehind(
  { pool, theta, layout, plan }: VerificationContext,
  front: Front,
  shared: Pick<Engine, 'threads' | 'columns' | 'dtype' | 'expired'>,
  limit: Feeds | false,
): Engine {
  const own = parameterLayout(front.network);
  const passed = parameterCount(layout) - parameterCount(own);
  const slots = own.map((slot) => ({ ...slot, offset: slot.offset + passed }));
  return {
    ...{ ...shared, network: front.network },
    run: async (program, given) =>
      (await pool.run({ plan: program, feeds: { ...given, ...limit }, theta, layout: slots })).outputs,
    plan: (name, compile) => plan(`${shared.dtype} behind the front: ${name}`, compile),
  };
}

/** Bytes for open subproblems, where the caller says nothing. */
export const MEMORY = 2 ** 31;
const NOTHING = new Float32Array(0);

/** The search over one network; `sound` takes rounding into account, in float64. */
export function createCompleteSearch(unlimited: VerificationContext, sound = false): CompleteSearch {
  const { network, signal } = unlimited;
  const dtype = sound ? 'float64' : 'float32';
  // Proofs in float64 run on the CPU, whatever the device.
  const columns = async () =>
    sound || unlimited.pool.device === 'cpu' ? undefined : columnsFor(network, await unlimited.pool.memory());
  const front = sound ? undefined : frontOf(network, (name) => numbersOf(unlimited, name));
  // Copied by the worker with each call: the engine's programs want float64, and the pool's layout is of
  // float32.
  const doubles = sound ? doublesOf(unlimited) : {};
  /** Columns that a device's memory did hold, where it did not hold those that were planned. */
  let fewer: number | undefined;
  return async (polytopes, options) => {
    const most = fewer ?? (await columns());
    if (most === undefined) return searchWith(undefined, polytopes, options);
    const { result, members } = await withSmallerChunk(
      most,
      (size) => searchWith(size, polytopes, options),
      'subproblems',
    );
    if (members < most) fewer = members;
    return result;
  };

  async function searchWith(
    size: number | undefined,
    polytopes: readonly Polytope[],
    { targets = polytopes, deadline, memoryBytes = MEMORY, attack, traced, progress }: CompleteSearchOptions,
  ): Promise<CompleteSearchResult> {
    const context = untilDeadline(unlimited, deadline);
    const { pool, evaluate } = context;
    let counterexample: Counterexample | undefined;
    let stage: CompleteSearchResult['stage'] | undefined;
    let last: { readonly stage: SearchStage; readonly subproblems: number; readonly lowerBound: number } = {
      stage: 'alpha-crown',
      subproblems: 0,
      lowerBound: Number.NEGATIVE_INFINITY,
    };
    let searching = true;
    const over = (): boolean =>
      counterexample !== undefined || performance.now() > deadline || signal?.aborted === true;
    const limit = Number.isFinite(deadline) && {
      deadline: Float64Array.of(Date.now() + deadline - performance.now()),
    };
    const shared = { threads: pool.threads, columns: size, dtype, expired: over } as const;
    const engine: Engine = {
      ...{ ...shared, network },
      async run(plan, given) {
        const feeds = { ...doubles, ...given, ...limit };
        return sound
          ? (await pool.run({ plan, feeds, theta: NOTHING, layout: [] })).outputs
          : context.run(plan, feeds);
      },
      plan: (name, compile) => context.plan(`${dtype} ${name}`, compile),
      ...(front && { behind: { front, engine: engineBehind(context, front, shared, limit) } }),
    };
    const attacks = (attack ?? new PropertyAttack(context)).beside(targets, {
      deadline,
      over: () => !searching || over(),
      found: (one) => {
        if (counterexample === undefined) [counterexample, stage] = [one, 'attack'];
      },
    });
    const searched = branchAndBound(engine, polytopes, {
      memoryBytes,
      secondsLeft: () => (deadline - performance.now()) / 1000,
      evaluate,
      traced,
      async found(point, index) {
        counterexample ??= await confirm(targets[index] as Polytope, index, point, evaluate);
        return counterexample !== undefined;
      },
      progress(state) {
        last = state;
        progress?.(state);
      },
    }).finally(() => {
      searching = false;
    });
    const [result, attacked] = await Promise.allSettled([searched, attacks]);
    signal?.throwIfAborted();
    for (const ended of [result, attacked])
      if (ended.status === 'rejected' && !(ended.reason instanceof TooLate)) throw ended.reason;
    const { verdict, ...rest } =
      result.status === 'fulfilled' ? result.value : { verdict: 'open', ...last, reason: 'time' as const };
    if (counterexample) return { ...rest, verdict: 'found', stage: stage ?? rest.stage, counterexample };
    // The search says `found` of confirmed counterexamples alone.
    return { ...rest, verdict: verdict === 'proved' ? 'proved' : 'open' };
  }
}
