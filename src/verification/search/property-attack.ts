/**
 * The search for counterexamples: projected descents from many places of many polytopes at once, on a pool.
 *
 * Starts are the box's centre, then uniform places and some corners, with large and small steps, every other
 * four with a diversion to random outputs first (ODI) and, where a polytope has several inequalities, half of
 * them on the sum of what is not fulfilled instead of the maximum. Everything random is a function of the
 * seed, the round and the start. What a descent finds is a candidate; `confirm` decides.
 */
import { type DescentShape, descentInputs, descentOf, descentPlan } from '../../attack/inequality-descent.js';
import { sizeOf } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import {
  flatten,
  type ParameterArrays,
  type ParameterSlot,
  parameterLayout,
} from '../../network/parameters.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { inSharedMemory, type Pool } from '../../runtime/pool/pool.js';
import { deriveKey, type Key, keyOf, uniforms } from '../../runtime/random/keys.js';
import { widestLayer } from '../proof/batch-size.js';
import { type Counterexample, confirm, type Evaluate } from '../proof/counterexample.js';
import type { Inequality, Polytope } from '../property/property.js';

/** What all attacks on one network share. */
export interface AttackContext {
  readonly network: Network;
  readonly pool: Pool;
  /** The network's parameters, flat, in shared memory. */
  readonly theta: Float32Array;
  /** Parameters that float32 does not hold, for proofs in float64. */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  readonly layout: readonly ParameterSlot[];
  readonly evaluate: Evaluate;
  readonly key: Key;
  readonly signal?: AbortSignal;
  /** Compiled programs by their shape. */
  readonly plans: Map<string, Plan>;
}

export interface AttackContextOptions {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  /** Those that float32 does not hold, in float64. */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  readonly pool: Pool;
  /** Outputs of the model that counterexamples are to be counterexamples of. */
  readonly evaluate: Evaluate;
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

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
/** A bound that is always fulfilled, for rows that a polytope does not have. */
const FREE = 1e30;
/** Diversions outweigh inequalities, whose largest coefficient is 1. */
const DIVERSION = 1e4;
/**
 * First step sizes, in units of half the box's widths, of starts in turn: large ones cross the box, small
 * ones stay where they began, which is worth while where starts are dense: in boxes of few dimensions.
 */
const SIZES = { few: [0.5, 0.02, 0.1], many: [0.5, 0.1, 0.25] } as const;
const FEW_DIMENSIONS = 16;
/** Last step size, in units of the first. */
const LAST = 0.01;
/**
 * Candidates of a call that are tried on the model, and how far from fulfilling its inequalities one may be
 * in float32.
 */
const TRIED = 4;
const NEARLY = 1e-4;

/** @throws RangeError if parameters are missing or of another size than the network's */
export function createAttackContext({
  network,
  parameters,
  exact,
  pool,
  evaluate,
  seed = 0,
  signal,
}: AttackContextOptions): AttackContext {
  const layout = parameterLayout(network);
  const theta = inSharedMemory(flatten(parameters, layout));
  return {
    network,
    pool,
    theta,
    exact,
    layout,
    evaluate,
    key: deriveKey(keyOf(seed), 0, 0),
    signal,
    plans: new Map(),
  };
}

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

function planOf({ network, plans }: AttackContext, shape: DescentShape): Plan {
  const name = Object.values(shape).join(' ');
  const plan = plans.get(name) ?? descentPlan(network, shape);
  plans.set(name, plan);
  return plan;
}

/** The program's extents for these polytopes and number of starts. */
function shapeFor({ network }: AttackContext, polytopes: readonly Polytope[], starts: number): DescentShape {
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

/** One descent: where it begins and what it seeks. */
interface Start {
  readonly polytope: number;
  /** Counts the starts of the polytope in this round. */
  readonly turn: number;
  readonly key: Key;
}

/**
 * The largest coefficient. Divided by it, the inequality that is furthest from being fulfilled is the one
 * with the largest value.
 */
function sizeOfTerms({ outputs, inputs = new Float64Array(0) }: Inequality): number {
  const largest = (c: Float64Array): number => c.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return Math.max(largest(outputs), largest(inputs)) || 1;
}

/** The arrays of a batch of starts; columns beyond them repeat the first. */
function feedsFor(
  shape: DescentShape,
  starts: readonly Start[],
  polytopes: readonly Polytope[],
  features: number,
  classes: number,
  round: number,
) {
  const extents = descentInputs(shape, features, classes);
  const feeds = Object.fromEntries(
    Object.entries(extents).map(([name, of]) => [name, new Float32Array(sizeOf(of))]),
  ) as Record<string, Float32Array>;
  const of = (name: keyof typeof extents) => feeds[name] as Float32Array;
  const { batch, rows } = shape;
  const draw = new Float32Array(features + classes);
  for (let column = 0; column < batch; column++) {
    const { polytope, turn, key } = (starts[column] ?? starts[0]) as Start;
    const { box, unsafe } = polytopes[polytope] as Polytope;
    uniforms(key, draw);
    const sizes =
      box.lower.filter((low, i) => low < (box.upper[i] as number)).length > FEW_DIMENSIONS
        ? SIZES.many
        : SIZES.few;
    const centred = turn === 0 && round === 0;
    const corner = turn % 4 === 0;
    for (let i = 0, k = column; i < features; i++, k += batch) {
      // Whatever float32 lies between the rounded ends is, moved into the box, read as that float32 again.
      const [low, high] = [Math.fround(box.lower[i] as number), Math.fround(box.upper[i] as number)];
      const u = draw[i] as number;
      const place = centred ? 0.5 : corner ? (u < 0.5 ? 0 : 1) : u;
      of('lower')[k] = low;
      of('upper')[k] = high;
      of('start')[k] = Math.min(high, Math.max(low, low + place * (high - low)));
    }
    of('size')[column] = sizes[turn % sizes.length] as number;
    of('reached')[column] = Number.POSITIVE_INFINITY;
    of('summed')[column] = unsafe.length > 1 && turn % 4 >= 2 ? 1 : 0;
    if (!centred && turn % 8 >= 4)
      for (let j = 0; j < classes; j++)
        of('diversion')[j * batch + column] = DIVERSION * (2 * (draw[features + j] as number) - 1);
    for (let row = 0; row < rows; row++) {
      const inequality = unsafe[row];
      of('bounds')[row * batch + column] = FREE;
      if (inequality === undefined) continue;
      const size = sizeOfTerms(inequality);
      of('bounds')[row * batch + column] = inequality.bound / size;
      inequality.outputs.forEach((c, j) => {
        of('outputs')[(j * rows + row) * batch + column] = c / size;
      });
      inequality.inputs?.forEach((d, i) => {
        (feeds.inputs as Float32Array)[(i * rows + row) * batch + column] = d / size;
      });
    }
  }
  of('kept').set(of('start'));
  return feeds;
}

/**
 * A counterexample to one of the polytopes, by its number in the list, or undefined if none was found within
 * the budget.
 * @throws the reason of the context's signal when it is aborted
 */
export async function attackPolytopes(
  context: AttackContext,
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
  let next = 0;
  let found: { readonly first: number; readonly counterexample: Counterexample } | undefined;
  // Batches before the one that found something go on: what is given does not depend on who finishes first.
  const over = (batch: number) =>
    (found !== undefined && found.first < batch) ||
    performance.now() > deadline ||
    context.signal?.aborted === true ||
    budget.over?.() === true;
  const lane = async (): Promise<void> => {
    while (next < starts.length && !over(next)) {
      const first = next;
      next += shape.batch;
      const counterexample = await descend(
        context,
        shape,
        starts.slice(first, next),
        polytopes,
        { steps, round },
        () => over(first),
      );
      if (counterexample && !(found !== undefined && found.first < first)) found = { first, counterexample };
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: context.pool.threads }, lane));
  for (const result of lanes) if (result.status === 'rejected') throw result.reason;
  context.signal?.throwIfAborted();
  return found?.counterexample;
}

/** All steps of one batch of starts, until one of them is confirmed. */
async function descend(
  context: AttackContext,
  shape: DescentShape,
  starts: readonly Start[],
  polytopes: readonly Polytope[],
  { steps, round }: { readonly steps: number; readonly round: number },
  over: () => boolean,
): Promise<Counterexample | undefined> {
  const { network, pool, theta, layout } = context;
  const plan = planOf(context, shape);
  let feeds = feedsFor(shape, starts, polytopes, featuresOf(network.input), network.classes, round);
  const calls = Math.ceil(steps / STEPS);
  const fall = LAST ** (1 / Math.max(1, calls - 1));
  const tried = new Float32Array(starts.length).fill(Number.POSITIVE_INFINITY);
  for (let call = 0; call < calls && !over(); call++) {
    const { outputs } = await pool.run({ plan, feeds, theta, layout });
    const { point, best, worst } = descentOf(outputs);
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
