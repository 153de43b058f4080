/**
 * Proofs without search: bounds of a polytope's inequalities over its whole box, by one relaxation.
 *
 * A polytope is unreachable if one of its inequalities c·y + d·x ≤ b cannot be fulfilled, that is if a lower
 * bound of c·y + d·x − b is positive. c·y is bounded by the relaxation, d·x by itself over the box. Polytopes
 * that share a box share its bounds.
 */
import { add, input, mul } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { forward, type Network, parameterInputs } from '../../network/network.js';
import { relaxations } from '../../relaxation/index.js';
import type { Feeds } from '../../runtime/execution/session.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { inLanes } from '../../runtime/pool/lanes.js';

import type { Pool } from '../../runtime/pool/pool.js';
import { allowance, endsOf, type Rounding } from '../branch-and-bound/allowance.js';
import { floats } from '../branch-and-bound/engine.js';
import { soundCrown, soundIntervalBounds } from '../branch-and-bound/sound-crown.js';
import { largestBatch, SOUND_ROWS, whySkipped } from '../proof/batch-size.js';
import { doublesOf, type VerificationContext } from '../proof/context.js';
import { sizeOfValues } from '../proof/hidden-size.js';
import { floatThreshold, isProof, scaleWith } from '../proof/rounding.js';
import { runningError } from '../proof/running-error.js';
import {
  type Box,
  centreOf,
  type Inequality,
  type Polytope,
  sizeOfTerms,
  violation,
} from '../property/property.js';

export type RootStage = 'ibp' | 'crown';

/** Inequalities bounded by one call of a program. */
const ROWS = 32;

export interface RootProblem extends VerificationContext {
  /** Asked before each call of a program. */
  readonly over: () => boolean;
  /** Boxes bounded by one call of a program (default 1). */
  readonly columns?: number;
  /** Whether bounds are in float64, with their rounding errors taken off; `ibp` then is nested CROWN-IBP. */
  readonly sound?: boolean;
}

export interface RootBound {
  /** The largest lower bound of the polytope's inequalities; −∞ if none was computed. */
  readonly lower: number;
  readonly proved: boolean;
}

/** One column of a call: inequalities of one box, each by the number of its polytope. */
interface Column {
  readonly box: Box;
  readonly rows: readonly { readonly polytope: number; readonly inequality: Inequality }[];
}

function columnsOf(polytopes: readonly Polytope[]): Column[] {
  const byBox = new Map<Box, Column['rows'][number][]>();
  polytopes.forEach(({ box, unsafe }, polytope) => {
    const rows = byBox.get(box) ?? [];
    byBox.set(box, rows);
    for (const inequality of unsafe) rows.push({ polytope, inequality });
  });
  return [...byBox].flatMap(([box, rows]) =>
    Array.from({ length: Math.ceil(rows.length / ROWS) }, (_, i) => ({
      box,
      rows: rows.slice(i * ROWS, (i + 1) * ROWS),
    })),
  );
}

function boundPlan(network: Network, stage: RootStage, rows: number, columns: number): Plan {
  const box = {
    lower: input('lower', [featuresOf(network.input), columns]),
    upper: input('upper', [featuresOf(network.input), columns]),
  };
  const specification = {
    kind: 'rows',
    coefficients: input('coefficients', [network.classes, rows, columns]),
  } as const;
  const parameters = parameterInputs(network);
  const { stages, margins } = relaxations[stage].bound({ network, parameters, box, specification });
  const values = forward(network, parameters, mul(add(box.lower, box.upper), 0.5));
  const error = runningError(network, parameters, box, values);
  return createPlan([...stages, { kind: 'whole', outputs: { margins, size: sizeOfValues(values), error } }]);
}

/** The same in float64, with rounding errors taken off the margins. */
function soundPlan(network: Network, stage: RootStage, rows: number, columns: number): Plan {
  const end = (side: 'lower' | 'upper') => input(side, [featuresOf(network.input), columns], 'float64');
  const coefficients = input('coefficients', [network.classes, rows, columns], 'float64');
  const problem = {
    network,
    parameters: parameterInputs(network, 'float64'),
    box: { lower: end('lower'), upper: end('upper') },
    specification: { kind: 'rows', coefficients },
    rowFloats: SOUND_ROWS,
  } as const;
  const margins =
    stage === 'ibp'
      ? soundIntervalBounds(problem, coefficients).crownIbp
      : soundCrown(problem, coefficients).margins;
  return createPlan([{ kind: 'whole', outputs: { margins } }]);
}

/** min over the box of d·x − b, in float64. */
function leastOfInputs({ inputs, bound }: Inequality, { lower, upper }: Box): number {
  const terms = inputs ?? new Float64Array(0);
  return terms.reduce(
    (sum, d, i) => sum + Math.min(d * (lower[i] as number), d * (upper[i] as number)),
    -bound,
  );
}

/** Bounds of each polytope by one relaxation; undefined where it cannot be run on the network. */
export async function rootBounds(
  problem: RootProblem,
  stage: RootStage,
  polytopes: readonly Polytope[],
): Promise<RootBound[] | undefined> {
  const { network, pool, evaluate, over, sound = false } = problem;
  if (
    stage === 'crown' &&
    (whySkipped(network, 'crown', sound) !== undefined || largestBatch(network, 'crown') < 1)
  )
    return undefined;
  const all = columnsOf(polytopes);
  const rows = Math.max(1, ...all.map((column) => column.rows.length));
  const columns = Math.min(problem.columns ?? 1, all.length);
  const plan = problem.plan(`root ${sound ? 'sound ' : ''}${stage} ${rows} ${columns}`, () =>
    (sound ? soundPlan : boundPlan)(network, stage, rows, columns),
  );
  const doubles = sound ? doublesOf(problem) : {};
  const bounds = polytopes.map((): RootBound => ({ lower: Number.NEGATIVE_INFINITY, proved: false }));
  const calls = Array.from({ length: Math.ceil(all.length / columns) }, (_, i) =>
    all.slice(i * columns, (i + 1) * columns),
  );
  await inLanes({ threads: pool.threads, expired: over }, calls, async (call) => {
    const feeds = { ...doubles, ...feedsOf(network, call, rows, columns, sound) };
    const outputs = await (sound ? runDouble(pool, plan, feeds) : problem.run(plan, feeds));
    const of = (name: string, at: number) => outputs[name]?.[at] as number;
    for (const [k, column] of call.entries()) {
      if (over()) return;
      const centre = centreOf(column.box);
      const y = await evaluate(Float32Array.from(centre));
      column.rows.forEach(({ polytope, inequality }, row) => {
        const margin = of('margins', row * columns + k);
        const lower = margin + leastOfInputs(inequality, column.box);
        const before = bounds[polytope] as RootBound;
        const size = sizeOfTerms(inequality, centre, y);
        const scale = scaleWith(size, sound ? 0 : of('size', k));
        const proved = sound
          ? isSoundProof(margin, inequality, size)
          : isProof(
              lower,
              violation({ box: column.box, unsafe: [inequality] }, centre, y),
              scale,
              floatThreshold(scale, inequality.outputs, (j) => of('error', j * columns + k)),
            );
        if (lower > before.lower || proved)
          bounds[polytope] = { lower: Math.max(lower, before.lower), proved: proved || before.proved };
      });
    }
  });
  return bounds;
}

const NOTHING = new Float32Array(0);
const NO_ROUNDING: Rounding = { hidden: 0, error: () => 0 };

const runDouble = async (pool: Pool, plan: Plan, feeds: Feeds) =>
  (await pool.run({ plan, feeds, theta: NOTHING, layout: [] })).outputs;

/** Whether a bound of c·y is a proof. Terms over the inputs are the search's, which bounds their errors. */
const isSoundProof = (margin: number, inequality: Inequality, size: number): boolean =>
  inequality.inputs === undefined &&
  Number.isFinite(margin) &&
  margin > inequality.bound + allowance({ dtype: 'float64' }, size, inequality, NO_ROUNDING);

/** Boxes and rows of a call as the program takes them; columns that are left over repeat the last box. */
function feedsOf(
  network: Network,
  call: readonly Column[],
  rows: number,
  columns: number,
  sound: boolean,
): Feeds {
  const inputs = featuresOf(network.input);
  const dtype = sound ? 'float64' : 'float32';
  const numbers = (size: number) => floats({ dtype }, size);
  const [lower, upper] = [numbers(inputs * columns), numbers(inputs * columns)];
  const coefficients = numbers(network.classes * rows * columns);
  for (let k = 0; k < columns; k++) {
    const { box, rows: of } = call[Math.min(k, call.length - 1)] as Column;
    const ends = endsOf({ dtype }, box);
    for (let i = 0; i < inputs; i++) {
      lower[i * columns + k] = ends.lower[i] as number;
      upper[i * columns + k] = ends.upper[i] as number;
    }
    of.forEach(({ inequality: { outputs } }, row) => {
      outputs.forEach((c, j) => {
        coefficients[(j * rows + row) * columns + k] = c;
      });
    });
  }
  return { lower, upper, coefficients };
}
