/**
 * The signs of ReLUs on one box, in three stages, each for the goals that are open after many subproblems of
 * the one before: by triangles, which are quick; by sides of hulls (`hull.ts`), whose bounds cost twice as
 * much and leave far fewer parts; and by sides that are chosen anew for the worst parts from time to time, on
 * hidden bounds by hulls: of the second convolution from envelopes of the first (`envelope.ts`), or of linear
 * layers from sides of each neuron's own (`hull-bounds.ts`), without a second stage before them.
 */
import type { Engine, HiddenBounds } from './engine.js';
import { envelopeBounds } from './envelope-bounds.js';
import { createHiddenBounding } from './hidden-bounds.js';
import { hullBounds } from './hull-bounds.js';
import { chooseHulls, hullNodes, hullNumbers, readsWindow } from './hull-choice.js';
import { type ReluSplittingOptions, type ReluSplittingResult, splitRelus } from './relu-splitting.js';
import { unstableRelus } from './unstable.js';

export interface ReluSearchOptions extends ReluSplittingOptions {
  /** Seconds left. */
  readonly secondsLeft: () => number;
  /**
   * Subproblems after which the second stage begins; the third does after twice as many of the second
   * (default: by the numbers of sides, and 3000).
   */
  readonly patience?: number;
}

/** Subproblems that take about as long as the choice of so many numbers of sides, within limits. */
const PATIENCE = { least: 200, most: 1500, numbers: 2 ** 11 } as const;
/** Seconds that must be left for hulls to be worth their choice. */
const LEAST_SECONDS = 4;
/** Shares of the time left that envelopes and bounds by sides may take. */
const ENVELOPE_SHARE = 0.1;
const HULL_SHARE = 0.5;
/** Steps of α behind them. */
const HIDDEN_ITERATIONS = 20;

/** What a stage searches with, on goals that are open. */
type Stage = (goals: ReluSplittingOptions['goals']) => Promise<Partial<ReluSplittingOptions>>;

export async function searchSigns(
  engine: Engine,
  { secondsLeft, patience: given, ...options }: ReluSearchOptions,
): Promise<ReluSplittingResult> {
  let open = options.goals.map((_, goal) => goal);
  let [subproblems, lowerBound] = [0, Number.NEGATIVE_INFINITY];
  const unstable = unstableRelus(engine, engine.network, options.hidden);
  const from = hullNodes(engine, unstable);
  const stages = stagesOf(engine, options, from, secondsLeft);
  // Hidden bounds by hulls take long whatever the size of sides.
  const first = isDense(engine, from) ? PATIENCE.most : patienceFor(hullNumbers(engine, unstable));
  const patience = [given ?? first, 2 * (given ?? PATIENCE.most)];
  for (const [at, stage] of stages.entries()) {
    const known = { subproblems, lowerBound };
    const since = <T extends typeof known>(state: T): T => ({
      ...state,
      subproblems: known.subproblems + state.subproblems,
      lowerBound: Math.max(known.lowerBound, state.lowerBound),
    });
    const before = open;
    const numbered = (goal: number) => before[goal] as number;
    const goals = before.map((goal) => options.goals[goal] as ReluSplittingOptions['goals'][number]);
    const { leaf } = options;
    const chosen = await stage(goals);
    let own = 0;
    const last = at + 1 === stages.length;
    const enough = () => !last && own >= (patience[at] as number) && secondsLeft() >= LEAST_SECONDS;
    const found = await splitRelus(
      { ...engine, expired: () => engine.expired() || enough() },
      {
        ...options,
        ...chosen,
        goals,
        ...(leaf && { leaf: (signs, goal) => leaf(signs, numbered(goal)) }),
        found: (point, goal) => options.found(point, numbered(goal)),
        ...(options.proved && { proved: (part, goal) => options.proved?.(part, numbered(goal)) }),
        progress: (state) => {
          own = state.subproblems;
          options.progress?.(since(state));
        },
      },
    );
    const result = { ...since(found), open: found.open.map(numbered) };
    if (found.reason !== 'time' || engine.expired() || last) return result;
    ({ open, subproblems, lowerBound } = result);
  }
  throw new Error('searchSigns: expected a stage that ends');
}

const patienceFor = (numbers: number): number =>
  Math.max(PATIENCE.least, Math.min(PATIENCE.most, numbers / PATIENCE.numbers));

function stagesOf(
  engine: Engine,
  options: ReluSplittingOptions,
  from: Readonly<Record<number, number>>,
  secondsLeft: () => number,
): Stage[] {
  const { box, hidden } = options;
  const triangles: Stage = async () => ({});
  // Neither certificates nor the rounding errors of float64 know of hulls.
  if (engine.dtype === 'float64' || options.proved !== undefined) return [triangles];
  if (Object.keys(from).length === 0) return [triangles];
  const hulls: Stage = async (goals) => ({ hulls: await chooseHulls(engine, { box, hidden, goals }) });
  const renewed: Stage = async (goals) => {
    const region = { box, hidden: await drawnIn(engine, options, from, secondsLeft), goals };
    let known = await chooseHulls(engine, region);
    const renew: ReluSplittingOptions['renew'] = async (parts) => {
      if (secondsLeft() < LEAST_SECONDS) return undefined;
      known = await chooseHulls(engine, { ...region, parts, known });
      return known;
    };
    return { hidden: region.hidden, hulls: known, renew };
  };
  // Hidden bounds of linear layers gain so much that sides on looser ones are not worth their choice.
  return isDense(engine, from) ? [triangles, renewed] : [triangles, hulls, renewed];
}

/** Whether all ReLUs that have sides read linear layers. */
const isDense = ({ network: { nodes } }: Engine, from: Readonly<Record<number, number>>): boolean =>
  Object.keys(from).every((k) => !readsWindow(nodes, Number(k)));

/** Hidden bounds by hulls: by envelopes behind convolutions, else by sides of each neuron's own. */
async function drawnIn(
  engine: Engine,
  { box, hidden }: Pick<ReluSplittingOptions, 'box' | 'hidden'>,
  from: Readonly<Record<number, number>>,
  secondsLeft: () => number,
): Promise<HiddenBounds> {
  const left = (share: number) => {
    const end = secondsLeft() * (1 - share);
    return () => secondsLeft() - end;
  };
  if (isDense(engine, from)) return hullBounds(engine, { box, hidden, from, secondsLeft: left(HULL_SHARE) });
  const forEnvelopes = left(ENVELOPE_SHARE);
  const over = () => engine.expired() || forEnvelopes() <= 0;
  const found = await envelopeBounds(engine, { box, hidden, from, over });
  if (found === undefined) return hidden;
  const known = new Map(hidden).set(found.node, found.ends);
  return createHiddenBounding(engine).bound(box, {
    ...{ iterations: HIDDEN_ITERATIONS, known, changed: found.node },
  });
}
