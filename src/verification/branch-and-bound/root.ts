/**
 * Bounds over whole boxes before they are searched: those of all hidden neurons, α optimised where the time
 * allows, and α-CROWN on the inequalities of all polytopes of a box.
 */
import { featuresOf } from '../../network/layers/layer.js';
import { inLanes } from '../../runtime/pool/lanes.js';
import { hiddenSizePlan } from '../proof/hidden-size.js';
import type { HiddenSlopes } from '../proof/trace.js';
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
import { unstableRelus } from './unstable.js';

export interface RootOptions {
  /** Seconds left, for what is worth its time. */
  readonly secondsLeft: () => number;
  /** Outputs of the model at an input. */
  readonly evaluate: (x: Float32Array) => Promise<ArrayLike<number>>;
  /** Whether the result is to say how all was proved. */
  readonly traced?: boolean;
  /** What float32 may do to the outputs over a box (default: what the engine's network says). */
  readonly rounding?: (box: Box) => Promise<Rounding>;
}

/** Steps of α for rows at the root. */
const ROOT_ITERATIONS = 20;
/** And for bounds of hidden neurons: as many as the time is worth. */
const HIDDEN_ITERATIONS = [20, 10, 5, 3];
/** A step of ascent takes about as long as this many bounds. */
const STEP_COST = 2.5;
/** Share of the time left that optimised hidden bounds may take. */
const ROOT_SHARE = 0.12;

/** Polytopes by their box, as numbers. */
export function grouped(polytopes: readonly Polytope[]): Map<Box, number[]> {
  const byBox = new Map<Box, number[]>();
  polytopes.forEach(({ box }, index) => {
    const indices = byBox.get(box) ?? [];
    byBox.set(box, indices);
    indices.push(index);
  });
  return byBox;
}

export interface Root {
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
export async function rootOf(
  engine: Engine,
  box: Box,
  polytopes: readonly Polytope[],
  options: RootOptions,
): Promise<Root> {
  const ends = endsOf(engine, box);
  const centre = centreOf(box);
  const y = await options.evaluate(Float32Array.from(centre));
  const rounding =
    engine.dtype === 'float64' ? NOTHING : await (options.rounding?.(box) ?? roundingOver(engine, box));
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

/** The root with bounds of hidden neurons raised by so many steps more. */
export async function tightened(engine: Engine, root: Root, iterations: number): Promise<Root> {
  const { box, hidden: known, rows } = root;
  const hidden = await createHiddenBounding(engine).bound(box, { iterations, known });
  return { ...root, hidden, ...(await openGoals(engine, box, hidden, rows)) };
}

/** Bounds of float64 have their errors taken off. */
export const NOTHING: Rounding = { hidden: 0, error: () => 0 };

/** By the running error of the network over a box. */
export async function roundingOver(engine: Engine, box: Box): Promise<Rounding> {
  const { lower, upper } = endsOf(engine, box);
  const plan = engine.plan('hidden size', () => hiddenSizePlan(engine.network));
  const { size, error } = await engine.run(plan, { 'box:lower': lower, 'box:upper': upper });
  return { hidden: (size as Floats)[0] as number, error: (j) => (error as Floats)[j] as number };
}

export interface Row extends Goal {
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

/** Rows as the columns of a program: `rows`, and `input rows` where any has a part over the inputs. */
export function rowFeeds(
  engine: Engine,
  rows: readonly Pick<Goal, 'coefficients' | 'inputs'>[],
  columns: number,
  mixed: boolean,
): Readonly<Record<string, Floats>> {
  const { network: net } = engine;
  const given = floats(engine, net.classes * columns);
  const overInputs = floats(engine, mixed ? featuresOf(net.input) * columns : 0);
  rows.forEach(({ coefficients, inputs }, j) => {
    coefficients.forEach((c, k) => {
      given[k * columns + j] = c;
    });
    inputs?.forEach((d, k) => {
      overInputs[k * columns + j] = d;
    });
  });
  return { rows: given, ...(mixed && { 'input rows': overInputs }) };
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
    const threshold = floats(engine, columns).fill(-1e30);
    piece.forEach(({ threshold: least }, j) => {
      threshold[j] = least;
    });
    const { bound } = await engine.run(plan, {
      ...regionFeeds(box, hidden),
      ...unstable.feeds,
      ...rowFeeds(engine, piece, columns, inputRows),
      threshold,
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
