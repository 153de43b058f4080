/**
 * The search for counterexamples: projected descents from many places of many polytopes at once, on a pool.
 *
 * Starts are the box's centre, then uniform places and some corners, with large and small steps, every other
 * four with a diversion to random outputs first (ODI) and, where a polytope has several inequalities, half of
 * them on the sum of what is not fulfilled instead of the maximum. Everything random is a function of the
 * seed, the round and the start. What a descent finds is a candidate; `confirm` decides.
 */
import { type DescentShape, descentOf, descentPlan } from '../../attack/inequality-descent.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import { inLanes } from '../../runtime/pool/lanes.js';
import { deriveKey } from '../../runtime/random/keys.js';
import { widestLayer } from '../proof/batch-size.js';
import type { VerificationContext } from '../proof/context.js';
import { type Counterexample, confirm } from '../proof/counterexample.js';
import { TooLate } from '../proof/deadline.js';
import type { Polytope } from '../property/property.js';
import { feedsFor, type Start } from './attack-starts.js';

const rest = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

export interface AttackBudget {
  /**
   * Descents in all (default: `roundStarts`); where polytopes are more, later rounds go on with the next
   * ones.
   */
  readonly starts?: number;
  /** Gradient steps of each (default 60). */
  readonly steps?: number;
  /** Number of the round: other rounds draw other starts (default 0). */
  readonly round?: number;
  /** No batch of steps is begun after this time of `performance.now()`. */
  readonly deadline?: number;
  /** Asked as well before each batch of steps: whether an attack has become pointless. */
  readonly over?: () => boolean;
}

/** Steps of one call of a program: after them a deadline is looked at and candidates are tried. */
const STEPS = 10;
/** Floats of an array over the widest layer that a program makes. */
const FLOATS = 2 ** 18;
const LARGEST_BATCH = 1024;
/**
 * A round is at least this many batches, so that several threads have work; not as many as threads, on which
 * no result may depend.
 */
const BATCHES = 4;
/**
 * Products that the forward passes of one round take, a fraction of a second of two cores, and the starts
 * that this may come to.
 */
const ROUND_PRODUCTS = 2 ** 30;
const ROUND_STARTS = { least: 48, most: 4096 } as const;
const DEFAULT_STEPS = 60;
/** Last step size, in units of the first. */
const LAST = 0.01;
/**
 * Candidates of a call that are tried on the model, and how far from fulfilling its inequalities one may be
 * in float32.
 */
const TRIED = 4;
const NEARLY = 1e-4;

const powerAbove = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));
const powerBelow = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));

/** Starts of a round that takes a fraction of a second: many for small networks, few for large ones. */
export function roundStarts({ nodes }: Network, steps = DEFAULT_STEPS): number {
  const products = nodes.reduce(
    (total, { layer }) => total + (layer.parameters[0]?.fanIn ?? 1) * featuresOf(layer.output),
    0,
  );
  return Math.min(
    ROUND_STARTS.most,
    Math.max(ROUND_STARTS.least, Math.floor(ROUND_PRODUCTS / (products * steps))),
  );
}

/** The program's extents for these polytopes and number of starts. */
function shapeFor(
  { network }: VerificationContext,
  polytopes: readonly Polytope[],
  starts: number,
): DescentShape {
  const rows = powerAbove(polytopes.reduce((most, { unsafe }) => Math.max(most, unsafe.length), 1));
  const inputTerms = polytopes.some(({ unsafe }) => unsafe.some(({ inputs }) => inputs !== undefined));
  const perColumn = Math.max(
    widestLayer(network),
    network.classes * rows,
    inputTerms ? featuresOf(network.input) * rows : 0,
  );
  const batch = Math.min(LARGEST_BATCH, powerBelow(FLOATS / perColumn), powerAbove(starts / BATCHES));
  return { batch, rows, inputTerms, steps: STEPS };
}

/** Attacks beside a search: its next rounds, and how long the last one took. */
export interface AttacksBeside {
  readonly deadline: number;
  /** Whether attacks have become pointless. */
  readonly over: () => boolean;
  readonly found: (counterexample: Counterexample) => void;
}

/** Milliseconds after the first attack beside a search; then twice as many each time. */
const FIRST_PAUSE = 1000;
/** Attacks rest at least so many times as long as they took: what the search does is worth more. */
const REST = 6;

/** The rounds of one verification, each with starts of its own. */
export class PropertyAttack {
  #round = 0;

  constructor(readonly context: VerificationContext) {}

  /**
   * The next round.
   * @throws the reason of the context's signal when it is aborted
   */
  next(
    polytopes: readonly Polytope[],
    budget: Omit<AttackBudget, 'round'>,
  ): Promise<Counterexample | undefined> {
    return attackPolytopes(this.context, polytopes, { ...budget, round: this.#round++ });
  }

  /** Further rounds, less and less often, until `over`. */
  async beside(polytopes: readonly Polytope[], { deadline, over, found }: AttacksBeside): Promise<void> {
    for (let attacks = 0; !over(); attacks++) {
      const began = performance.now();
      const counterexample = await this.next(polytopes, { deadline, over });
      if (counterexample) found(counterexample);
      const now = performance.now();
      const pause = now + Math.max(FIRST_PAUSE * 2 ** attacks, REST * (now - began));
      while (!over() && performance.now() < pause) await rest(50);
    }
  }
}

/**
 * A counterexample to one of the polytopes, by its number in the list, or undefined if none was found within
 * the budget.
 * @throws the reason of the context's signal when it is aborted
 */
export async function attackPolytopes(
  context: VerificationContext,
  polytopes: readonly Polytope[],
  budget: AttackBudget,
): Promise<Counterexample | undefined> {
  const { round = 0, steps = DEFAULT_STEPS, deadline = Number.POSITIVE_INFINITY } = budget;
  const { starts: count = roundStarts(context.network, steps) } = budget;
  if (polytopes.length === 0) return undefined;
  const shift = round * count;
  const key = deriveKey(context.key, 1, round);
  const starts = Array.from({ length: count }, (_, s): Start => {
    const polytope = (polytopes.length > count ? shift + s : s) % polytopes.length;
    return { polytope, turn: Math.floor(s / polytopes.length), key: deriveKey(key, s, 0) };
  });
  const shape = shapeFor(context, polytopes, starts.length);
  let found: { readonly first: number; readonly counterexample: Counterexample } | undefined;
  // Batches before the one that found something go on: what is given does not depend on who finishes first.
  const over = (batch: number) =>
    (found !== undefined && found.first < batch) ||
    performance.now() > deadline ||
    context.signal?.aborted === true ||
    budget.over?.() === true;
  const firsts = Array.from({ length: Math.ceil(starts.length / shape.batch) }, (_, i) => i * shape.batch);
  await inLanes({ threads: context.pool.threads, expired: over }, firsts, async (first) => {
    const counterexample = await descend(
      context,
      shape,
      starts.slice(first, first + shape.batch),
      polytopes,
      { steps, round },
      () => over(first),
    );
    if (counterexample && !(found !== undefined && found.first < first)) found = { first, counterexample };
  }).catch((error: unknown) => {
    if (!(error instanceof TooLate) || found === undefined) throw error;
  });
  context.signal?.throwIfAborted();
  return found?.counterexample;
}

/** All steps of one batch of starts, until one of them is confirmed. */
async function descend(
  context: VerificationContext,
  shape: DescentShape,
  starts: readonly Start[],
  polytopes: readonly Polytope[],
  { steps, round }: { readonly steps: number; readonly round: number },
  over: () => boolean,
): Promise<Counterexample | undefined> {
  const { network } = context;
  const plan = context.plan(`descent ${Object.values(shape).join(' ')}`, () => descentPlan(network, shape));
  let feeds = feedsFor(shape, starts, polytopes, featuresOf(network.input), network.classes, round);
  const calls = Math.ceil(steps / STEPS);
  const fall = LAST ** (1 / Math.max(1, calls - 1));
  const tried = new Float32Array(starts.length).fill(Number.POSITIVE_INFINITY);
  for (let call = 0; call < calls && !over(); call++) {
    const { point, best, worst } = descentOf(await context.run(plan, feeds));
    const candidates = Array.from(starts.keys())
      .filter(
        (column) =>
          (worst[column] as number) <= NEARLY && (worst[column] as number) < (tried[column] as number),
      )
      .sort((a, b) => (worst[a] as number) - (worst[b] as number));
    for (const column of candidates.slice(0, TRIED)) {
      tried[column] = worst[column] as number;
      const { polytope } = starts[column] as Start;
      const x = Float32Array.from(
        { length: featuresOf(network.input) },
        (_, i) => best[i * shape.batch + column] as number,
      );
      const confirmed = await confirm(polytopes[polytope] as Polytope, polytope, x, context.evaluate);
      if (confirmed !== undefined) return confirmed;
    }
    const size = (feeds.size as Float32Array).map((a) => a * fall);
    feeds = {
      ...feeds,
      start: point,
      kept: best,
      reached: worst,
      size,
      diversion: new Float32Array(network.classes * shape.batch),
    };
  }
  return undefined;
}
