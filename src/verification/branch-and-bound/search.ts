/**
 * Complete verification of polytopes that cheap bounds leave open: on the inputs where they are few or
 * activations are smooth, else on the signs of ReLUs, one box after the other, α-CROWN first. Between few
 * inputs and many, a trial on the inputs goes on as long as it gains.
 */
import type { Network } from '../../network/network.js';
import { crownIsAffordable } from '../../relaxation/linear/crown.js';
import type { BoxTrace, ProvedPart, SignsTrace } from '../proof/trace.js';
import type { Box, Polytope } from '../property/property.js';
import type { Engine } from './engine.js';
import { type InputSplittingOptions, type SplittingResult, splitInputs } from './input-splitting.js';
import { createLeafSolver } from './leaf.js';
import { searchSigns } from './relu-search.js';
import { grouped, type Root, type RootOptions, type Row, rootOf, roundingOver, tightened } from './root.js';
import { splitSmooth } from './smooth-splitting.js';
import { trialOf } from './trial.js';
import { unstableRelus } from './unstable.js';

export interface SearchOptions extends RootOptions {
  /** Bytes that open subproblems may take. */
  readonly memoryBytes: number;
  /** Seconds as they pass for the search (default: the wall clock). */
  readonly clock?: () => number;
  /** Called with inputs that may be counterexamples. True ends the search. */
  readonly found: (point: Float32Array, polytope: number) => Promise<boolean>;
  readonly progress?: (state: {
    readonly stage: SearchStage;
    readonly subproblems: number;
    readonly lowerBound: number;
  }) => void;
}

export type SearchStage = 'alpha-crown' | 'branch-and-bound';

export interface SearchResult extends SplittingResult {
  readonly stage: SearchStage;
}

/** Networks of at most so many inputs that vary are split there, whatever it gains. */
const FEW_INPUTS = 12;
/** And of so many where a trial gains enough. */
const SOME_INPUTS = 20;
/** Boxes whose bounds are worth a root each before their inputs are halved. */
const FEW_BOXES = 8;

const isSmooth = ({ nodes }: Network): boolean => nodes.some(({ layer }) => layer.kind === 'activation');

/** Whether polytopes are searched by halving boxes of inputs, not by the signs of ReLUs. */
export const splitsInputs = (network: Network, polytopes: readonly Polytope[]): boolean =>
  isSmooth(network) || polytopes.every(({ box }) => varying(box) <= FEW_INPUTS);

/** Whether halving inputs is worth a trial before ReLUs are split: the inputs are not many. */
const triesInputs = (polytopes: readonly Polytope[]): boolean =>
  polytopes.every(({ box }) => varying(box) <= SOME_INPUTS);

/** Ends that differ by less, beside their size, enclose one number. */
const ROUNDED = 2 ** -40;

/** How many inputs of a box vary. */
const varying = ({ lower, upper }: Box): number =>
  lower.reduce((count, low, i) => {
    const high = upper[i] as number;
    return count + (high - low > ROUNDED * Math.max(Math.abs(low), Math.abs(high)) ? 1 : 0);
  }, 0);

/** What a search on the inputs is told. */
type OnInputs = Pick<SearchOptions, 'found' | 'progress'> & Pick<InputSplittingOptions, 'partByPart'>;

/** Searches all polytopes. @returns `found` only if `options.found` said so */
export async function search(
  engine: Engine,
  polytopes: readonly Polytope[],
  options: SearchOptions,
): Promise<SearchResult> {
  const everywhere = polytopes.find(({ unsafe }) => unsafe.length === 0);
  if (everywhere)
    throw new RangeError(
      'search: expected at least one inequality in each polytope, got one that is all of its box',
    );
  const stage: SearchStage = 'branch-and-bound';
  const onInputs = async (
    by: Engine,
    watch: (lowerBound: number) => void = () => {},
    some = polytopes,
    { found, progress, partByPart }: OnInputs = options,
  ) => ({
    stage,
    ...(await splitInputs(by, {
      ...options,
      found,
      partByPart,
      polytopes: some,
      progress: (state) => {
        watch(state.lowerBound);
        progress?.({ stage, ...state });
      },
    })),
  });
  if (hasSmoothRoots(engine.network, polytopes))
    return searchSmooth(engine, polytopes, options, (open, by) => onInputs(engine, undefined, open, by));
  if (splitsInputs(engine.network, polytopes)) return onInputs(engine);
  if (!triesInputs(polytopes)) return searchRelus(engine, polytopes, options);
  const { clock = () => performance.now() / 1000 } = options;
  const trial = trialOf(engine, options.secondsLeft(), clock);
  const by = { ...options, partByPart: !crownIsAffordable(engine.network) };
  const tried = await onInputs(trial.engine, trial.watch, polytopes, by);
  if (tried.verdict !== 'open' || engine.expired()) return tried;
  const { subproblems: before, lowerBound } = tried;
  const found = await searchRelus(engine, polytopes, {
    ...options,
    progress: (state) => options.progress?.(since(state)),
  });
  return since(found);

  /** With what the trial came to. */
  function since<T extends { readonly subproblems: number; readonly lowerBound: number }>(state: T): T {
    const subproblems = before + state.subproblems;
    return { ...state, subproblems, lowerBound: Math.max(lowerBound, state.lowerBound) };
  }
}

/** Whether α-CROWN over whole boxes comes first: halving many inputs gains little, chosen tangents much. */
const hasSmoothRoots = (network: Network, polytopes: readonly Polytope[]): boolean =>
  isSmooth(network) &&
  grouped(polytopes).size <= FEW_BOXES &&
  polytopes.some(({ box }) => varying(box) > FEW_INPUTS);

/**
 * α-CROWN on each box; what it leaves open is searched by halving the inputs where they are not many, else
 * what smooth activations read.
 */
async function searchSmooth(
  engine: Engine,
  polytopes: readonly Polytope[],
  options: SearchOptions,
  onInputs: (
    open: readonly Polytope[],
    by: Pick<SearchOptions, 'found' | 'progress'>,
  ) => Promise<SearchResult>,
): Promise<SearchResult> {
  const open: number[] = [];
  let [subproblems, lowerBound] = [0, Number.POSITIVE_INFINITY];
  let reason: SplittingResult['reason'];
  const boxes = grouped(polytopes);
  let begun = 0;
  // Of a box that has not begun nothing is known.
  const since = <T extends { readonly subproblems: number; readonly lowerBound: number }>(state: T): T => ({
    ...state,
    subproblems: subproblems + state.subproblems,
    lowerBound: begun < boxes.size ? Number.NEGATIVE_INFINITY : Math.min(lowerBound, state.lowerBound),
  });
  for (const [box, indices] of boxes) {
    if (engine.expired()) {
      [lowerBound, reason] = [Number.NEGATIVE_INFINITY, 'time'];
      break;
    }
    begun++;
    const some = indices.map((index) => polytopes[index] as Polytope);
    const wide = varying(box) > SOME_INPUTS;
    const found = await rootOf(engine, box, some, options);
    const root = wide ? await tightest(engine, found, options) : found;
    const indexOf = (goal: number) => indices[root.goals[goal]?.polytope as number] as number;
    subproblems++;
    if (root.goals.length === 0 || !wide) {
      lowerBound = Math.min(lowerBound, root.lowerBound);
      open.push(...root.goals.map((_, goal) => indexOf(goal)));
      continue;
    }
    const result = await splitSmooth(engine, {
      ...root,
      memoryBytes: options.memoryBytes,
      found: (point, goal) => options.found(point, indexOf(goal)),
      progress: (state) => options.progress?.({ stage: 'branch-and-bound', ...since(state) }),
    });
    subproblems += result.subproblems;
    lowerBound = Math.min(lowerBound, Math.max(root.lowerBound, result.lowerBound));
    if (result.verdict === 'found')
      return { stage: 'branch-and-bound', verdict: 'found', subproblems, lowerBound };
    // What one box leaves open says nothing of the others: one of them may hold a counterexample.
    if (reason === undefined || result.reason === 'time') reason = result.reason;
  }
  if (open.length > 0 && reason !== 'time') {
    const searched = await onInputs(
      open.map((index) => polytopes[index] as Polytope),
      {
        found: (point, k) => options.found(point, open[k] as number),
        progress: (state) => options.progress?.(since(state)),
      },
    );
    const least = reason === undefined ? Math.max(lowerBound, searched.lowerBound) : lowerBound;
    const result = { ...searched, subproblems: subproblems + searched.subproblems, lowerBound: least };
    return searched.verdict === 'proved' && reason !== undefined
      ? { ...result, verdict: 'open', reason }
      : result;
  }
  const stage: SearchStage = subproblems > boxes.size ? 'branch-and-bound' : 'alpha-crown';
  if (reason !== undefined || open.length > 0)
    return { stage, verdict: 'open', subproblems, lowerBound, reason: reason ?? 'time' };
  return { stage, verdict: 'proved', subproblems, lowerBound };
}

/** Steps of ascent in the tangents of all hidden neurons: a first pass, and longer ones for what is left. */
const FIRST_PASS = 5;
const LONGER_PASSES = [20, 10];
/** Share of the time left that a pass may take. */
const PASS_SHARE = 0.8;

/**
 * The root with hidden bounds raised by their tangents: behind smooth activations that is worth more than any
 * number of halved intervals.
 */
async function tightest(
  engine: Engine,
  root: Root,
  { secondsLeft }: Pick<SearchOptions, 'secondsLeft'>,
): Promise<Root> {
  if (root.goals.length === 0) return root;
  const before = secondsLeft();
  const first = better(root, await tightened(engine, root, FIRST_PASS));
  const left = secondsLeft();
  const longer = LONGER_PASSES.find((steps) => ((before - left) * steps) / FIRST_PASS <= PASS_SHARE * left);
  if (first.goals.length === 0 || longer === undefined || engine.expired()) return first;
  return better(first, await tightened(engine, first, longer));
}

/** A pass that the time ended may know of no bound. */
const better = (known: Root, next: Root): Root => (next.lowerBound > known.lowerBound ? next : known);

/** The same search behind the network's front; what it asks and finds is of the whole network's inputs. */
function behindFront(
  engine: Engine,
  polytopes: readonly Polytope[],
  options: SearchOptions,
): [Engine, readonly Polytope[], SearchOptions] {
  const { behind } = engine;
  const readsInputs = polytopes.some(({ unsafe }) => unsafe.some(({ inputs }) => inputs !== undefined));
  if (behind === undefined || options.traced || readsInputs) return [engine, polytopes, options];
  const { front } = behind;
  const before = new Map<Box, Box>();
  const after = new Map(
    [...grouped(polytopes).keys()].map((box) => {
      const passed = front.boxOf(box);
      before.set(passed, box);
      return [box, passed];
    }),
  );
  return [
    { ...behind.engine, expired: engine.expired },
    polytopes.map(({ box, unsafe }) => ({ box: after.get(box) as Box, unsafe })),
    {
      ...options,
      evaluate: (z) => options.evaluate(front.pointOf(z)),
      rounding: (box) => roundingOver(engine, before.get(box) as Box),
      found: (z, index) => options.found(front.pointOf(z), index),
    },
  ];
}

/** Searches polytopes on the signs of ReLUs, one box after the other, α-CROWN first. */
async function searchRelus(
  whole: Engine,
  given: readonly Polytope[],
  all: SearchOptions,
): Promise<SearchResult> {
  const [engine, polytopes, options] = behindFront(whole, given, all);
  const boxes = grouped(polytopes);
  let [begun, subproblems, lowerBound] = [0, 0, Number.POSITIVE_INFINITY];
  let stage: SearchStage = 'alpha-crown';
  let reason: SplittingResult['reason'];
  const traces: BoxTrace[] = [];
  for (const [box, indices] of boxes) {
    if (engine.expired()) break;
    begun++;
    const root = await rootOf(
      engine,
      box,
      indices.map((index) => polytopes[index] as Polytope),
      options,
    );
    subproblems++;
    const divided: Divided = new Map();
    if (options.traced) traces.push(signsTrace(engine, indices, root, divided));
    if (root.goals.length === 0) {
      lowerBound = Math.min(lowerBound, root.lowerBound);
      continue;
    }
    stage = 'branch-and-bound';
    // The solver's own affine maps carry no error bound.
    const leaves =
      engine.dtype === 'float32'
        ? await createLeafSolver(engine, box, root.hidden, options.secondsLeft)
        : undefined;
    const before = subproblems;
    const rowsOf = (goal: number) =>
      root.rows.filter(({ polytope }) => polytope === root.goals[goal]?.polytope);
    const result = await searchSigns(engine, {
      ...root,
      secondsLeft: options.secondsLeft,
      ...(leaves && { leaf: (signs, goal) => leaves.solve(signs, rowsOf(goal)) }),
      memoryBytes: options.memoryBytes,
      found: (point, goal) => options.found(point, indices[root.goals[goal]?.polytope as number] as number),
      ...(options.traced && {
        proved: (part, goal) => {
          const { polytope, coefficients } = root.goals[goal] as Row;
          const index = indices[polytope] as number;
          const known = divided.get(index);
          if (known) known.parts.push(part);
          else divided.set(index, { row: coefficients, parts: [part] });
        },
      }),
      progress: (state) => {
        // Of a box that has not begun nothing is known.
        const least =
          begun < boxes.size
            ? Number.NEGATIVE_INFINITY
            : Math.min(lowerBound, Math.max(root.lowerBound, state.lowerBound));
        options.progress?.({
          stage: 'branch-and-bound',
          subproblems: before + state.subproblems,
          lowerBound: least,
        });
      },
    });
    subproblems += result.subproblems;
    lowerBound = Math.min(lowerBound, Math.max(root.lowerBound, result.lowerBound));
    if (result.verdict === 'found') return { stage, verdict: 'found', subproblems, lowerBound };
    // What one box leaves open says nothing of the others: one of them may hold a counterexample.
    if (reason === undefined || result.reason === 'time') reason = result.reason;
  }
  if (begun < boxes.size)
    return { stage, verdict: 'open', subproblems, lowerBound: Number.NEGATIVE_INFINITY, reason: 'time' };
  return {
    stage,
    verdict: reason === undefined ? 'proved' : 'open',
    subproblems,
    lowerBound,
    ...(reason && { reason }),
    ...(options.traced && reason === undefined && { traces }),
  };
}

/** Parts by polytope while they are found. */
type Divided = Map<number, { readonly row: Float64Array; readonly parts: ProvedPart[] }>;

function signsTrace(
  engine: Engine,
  polytopes: readonly number[],
  { hidden, slopes }: Root,
  divided: Divided,
): SignsTrace {
  const relus = [...hidden].map(([node, { lower }]) => ({ node, size: lower.length }));
  const neurons = unstableRelus(engine, engine.network, hidden);
  return { kind: 'signs', polytopes, relus, hidden: slopes, neurons, divided };
}
