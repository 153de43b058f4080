/**
 * Complete verification of polytopes that cheap bounds leave open: on the inputs where they are few or
 * activations are smooth, else on the signs of ReLUs, one box after the other, α-CROWN first. Between few
 * inputs and many, a trial on the inputs goes on as long as it gains.
 */
import type { Network } from '../../network/network.js';
import { crownIsAffordable } from '../../relaxation/linear/crown.js';
import { inLanes } from '../../runtime/pool/lanes.js';
import { hiddenSizePlan } from '../proof/hidden-size.js';
import type { BoxTrace, HiddenSlopes, ProvedPart, SignsTrace } from '../proof/trace.js';
import {
  type Box,
  centreOf,
  type Inequality,
  type Polytope,
  sizeOfTerms,
  violation,
} from '../property/property.js';
import { allowance, endsOf, type Rounding } from './allowance.js';
import { dualOf } from './dual-program.js';
import { type Ends, type Engine, type Floats, floats, type Goal, type HiddenBounds } from './engine.js';
import { columnsOf, createHiddenBounding, regionFeeds } from './hidden-bounds.js';
import { type SplittingResult, splitInputs } from './input-splitting.js';
import { createLeafSolver } from './leaf.js';
import { splitRelus } from './relu-splitting.js';
import { trialOf } from './trial.js';
import { unstableRelus } from './unstable.js';

export interface SearchOptions {
  /** Bytes that open subproblems may take. */
  readonly memoryBytes: number;
  /** Seconds left, for what is worth its time. */
  readonly secondsLeft: () => number;
  /** Seconds as they pass for the search (default: the wall clock). */
  readonly clock?: () => number;
  /** Outputs of the model at an input. */
  readonly evaluate: (x: Float32Array) => Promise<ArrayLike<number>>;
  /** Called with inputs that may be counterexamples. True ends the search. */
  readonly found: (point: Float32Array, polytope: number) => Promise<boolean>;
  /** Whether the result is to say how all was proved. */
  readonly traced?: boolean;
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
/** Steps of α for rows at the root. */
const ROOT_ITERATIONS = 20;
/** And for bounds of hidden neurons: as many as the time is worth. */
const HIDDEN_ITERATIONS = [20, 10, 5, 3];
/** A step of ascent takes about as long as this many bounds. */
const STEP_COST = 2.5;
/** Share of the time left that optimised hidden bounds may take. */
const ROOT_SHARE = 0.12;

/** Whether polytopes are searched by halving boxes of inputs, not by the signs of ReLUs. */
export const splitsInputs = ({ nodes }: Network, polytopes: readonly Polytope[]): boolean =>
  nodes.some(({ layer }) => layer.kind === 'activation') ||
  polytopes.every(({ box }) => varying(box) <= FEW_INPUTS);

/**
 * Whether halving inputs is worth a trial before ReLUs are split: the inputs are not many, and bounds of all
 * neurons are affordable for each part anew.
 */
const triesInputs = (network: Network, polytopes: readonly Polytope[]): boolean =>
  crownIsAffordable(network) && polytopes.every(({ box }) => varying(box) <= SOME_INPUTS);

const varying = ({ lower, upper }: Box): number =>
  lower.reduce((count, low, i) => count + (low < (upper[i] as number) ? 1 : 0), 0);

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
  const onInputs = async (by: Engine, watch: (lowerBound: number) => void = () => {}) => ({
    stage,
    ...(await splitInputs(by, {
      ...options,
      polytopes,
      progress: (state) => {
        watch(state.lowerBound);
        options.progress?.({ stage, ...state });
      },
    })),
  });
  if (splitsInputs(engine.network, polytopes)) return onInputs(engine);
  if (!triesInputs(engine.network, polytopes)) return searchRelus(engine, polytopes, options);
  const { clock = () => performance.now() / 1000 } = options;
  const trial = trialOf(engine, options.secondsLeft(), clock);
  const tried = await onInputs(trial.engine, trial.watch);
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

/** Searches polytopes on the signs of ReLUs, one box after the other, α-CROWN first. */
async function searchRelus(
  engine: Engine,
  polytopes: readonly Polytope[],
  options: SearchOptions,
): Promise<SearchResult> {
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
    const result = await splitRelus(engine, {
      ...root,
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

function grouped(polytopes: readonly Polytope[]): Map<Box, number[]> {
  const byBox = new Map<Box, number[]>();
  polytopes.forEach(({ box }, index) => {
    const indices = byBox.get(box) ?? [];
    byBox.set(box, indices);
    indices.push(index);
  });
  return byBox;
}

interface Root {
  /** All inequalities of all polytopes. */
  readonly rows: readonly Row[];
  readonly box: Ends;
  readonly hidden: HiddenBounds;
  readonly slopes: ReadonlyMap<number, HiddenSlopes>;
  /** What is open: of each polytope the inequality that is nearest to being refuted. */
  readonly goals: readonly Row[];
  readonly lowerBound: number;
}

/** Bounds over one box, α optimised where the time allows. */
async function rootOf(
  engine: Engine,
  box: Box,
  polytopes: readonly Polytope[],
  options: SearchOptions,
): Promise<Root> {
  const ends = endsOf(engine, box);
  const centre = centreOf(box);
  const y = await options.evaluate(Float32Array.from(centre));
  const rounding = engine.dtype === 'float64' ? NOTHING : await roundingOver(engine, ends);
  const rows = polytopes.flatMap(({ unsafe }, polytope) =>
    unsafe.map((inequality) => ({ polytope, ...rowOf(engine, inequality, centre, y, rounding) })),
  );
  const bounding = createHiddenBounding(engine);

  const started = performance.now();
  const slopes = new Map<number, HiddenSlopes>();
  let hidden = await bounding.bound(ends, { iterations: 0 });
  const seconds = (performance.now() - started) / 1000;
  let open = await openGoals(engine, ends, hidden, rows);
  const affordable = (ROOT_SHARE * options.secondsLeft()) / (STEP_COST * seconds);
  const iterations = HIDDEN_ITERATIONS.find((steps) => steps <= affordable);
  if (open.goals.length > 0 && iterations !== undefined) {
    hidden = await bounding.bound(ends, { iterations, known: hidden, ...(options.traced && { slopes }) });
    open = await openGoals(engine, ends, hidden, rows);
  }
  return { box: ends, hidden, slopes, rows, ...open };
}

/** Bounds of float64 have their errors taken off. */
const NOTHING: Rounding = { hidden: 0, error: () => 0 };

async function roundingOver(engine: Engine, box: Ends): Promise<Rounding> {
  const plan = engine.plan('hidden size', () => hiddenSizePlan(engine.network));
  const { size, error } = await engine.run(plan, { 'box:lower': box.lower, 'box:upper': box.upper });
  return { hidden: (size as Floats)[0] as number, error: (j) => (error as Floats)[j] as number };
}

interface Row extends Goal {
  readonly polytope: number;
  /** c·y + d·x − threshold at the box's centre. */
  readonly atCentre: number;
}

function rowOf(
  engine: Engine,
  inequality: Inequality,
  centre: Float64Array,
  y: ArrayLike<number>,
  rounding: Rounding,
): Omit<Row, 'polytope'> {
  const { outputs, inputs, bound } = inequality;
  const threshold = bound + allowance(engine, sizeOfTerms(inequality, centre, y), inequality, rounding);
  const atCentre =
    violation({ box: { lower: centre, upper: centre }, unsafe: [inequality] }, centre, y) + bound - threshold;
  return { coefficients: outputs, ...(inputs && { inputs }), threshold, atCentre };
}

/** α-CROWN on the rows: of each polytope that no row proves unreachable, the best row. */
async function openGoals(
  engine: Engine,
  box: Ends,
  hidden: HiddenBounds,
  rows: readonly Row[],
): Promise<Pick<Root, 'goals' | 'lowerBound'>> {
  const { network: net } = engine;
  const columns = Math.min(columnsOf(engine), 2 ** Math.max(3, Math.ceil(Math.log2(rows.length))));
  const inputRows = rows.some(({ inputs }) => inputs !== undefined);
  const unstable = unstableRelus(engine, net, hidden);
  const plan = dualOf(engine, {
    target: net.nodes.length - 1,
    columns,
    iterations: ROOT_ITERATIONS,
    start: 'rows',
    inputRows,
    unstable: unstable.capacity,
  });
  // What the time does not suffice for stays open.
  const best = new Map<number, { row: Row; value: number }>();
  for (const row of rows)
    if (!best.has(row.polytope)) best.set(row.polytope, { row, value: Number.NEGATIVE_INFINITY });
  const pieces = Array.from({ length: Math.ceil(rows.length / columns) }, (_, i) =>
    rows.slice(i * columns, (i + 1) * columns),
  );
  await inLanes(engine, pieces, async (piece) => {
    const given = floats(engine, net.classes * columns);
    const overInputs = floats(engine, inputRows ? box.lower.length * columns : 0);
    const threshold = floats(engine, columns).fill(-1e30);
    piece.forEach(({ coefficients, inputs, threshold: least }, j) => {
      coefficients.forEach((c, k) => {
        given[k * columns + j] = c;
      });
      inputs?.forEach((d, k) => {
        overInputs[k * columns + j] = d;
      });
      threshold[j] = least;
    });
    const { bound } = await engine.run(plan, {
      ...regionFeeds(box, hidden),
      ...unstable.feeds,
      rows: given,
      threshold,
      ...(inputRows && { 'input rows': overInputs }),
    });
    piece.forEach((row, j) => {
      const value = ((bound as Floats)[j] as number) - row.threshold;
      // A bound above the value at the centre is none: arithmetic overflowed.
      const sane = Number.isFinite(value) && value <= row.atCentre + Math.abs(row.threshold) * 1e-5 + 1e-5;
      if (sane && value > (best.get(row.polytope) as { value: number }).value)
        best.set(row.polytope, { row, value });
    });
  });
  const open = [...best.values()].filter(({ value }) => !(value > 0));
  return {
    goals: open.map(({ row }) => row),
    lowerBound: [...best.values()].reduce(
      (least, { value }) => Math.min(least, value),
      Number.POSITIVE_INFINITY,
    ),
  };
}
