/**
 * The signs of ReLUs on one box: at first by triangles, which are quick, then, of goals that are open after
 * many subproblems, by sides of hulls (`hull.ts`), whose bounds cost twice as much and leave far fewer parts.
 */
import type { Engine } from './engine.js';
import { chooseHulls, hullNodes } from './hull-choice.js';
import { type ReluSplittingOptions, type ReluSplittingResult, splitRelus } from './relu-splitting.js';
import { unstableRelus } from './unstable.js';

export interface ReluSearchOptions extends ReluSplittingOptions {
  /** Seconds left. */
  readonly secondsLeft: () => number;
  /** Subproblems after which hulls are chosen. */
  readonly patience?: number;
}

/** Subproblems that take about as long as the choice of hulls. */
const PATIENCE = 1500;
/** Seconds that must be left for hulls to be worth their choice. */
const LEAST_SECONDS = 4;

export async function searchSigns(
  engine: Engine,
  { secondsLeft, patience = PATIENCE, ...options }: ReluSearchOptions,
): Promise<ReluSplittingResult> {
  // Neither certificates nor the rounding errors of float64 know of hulls.
  const plain = engine.dtype === 'float64' || options.proved !== undefined;
  const hulled = () => hullNodes(engine, unstableRelus(engine, engine.network, options.hidden));
  if (plain || Object.keys(hulled()).length === 0) return splitRelus(engine, options);

  let subproblems = 0;
  const worthIt = () => subproblems >= patience && secondsLeft() >= LEAST_SECONDS;
  const tried = await splitRelus(
    { ...engine, expired: () => engine.expired() || worthIt() },
    {
      ...options,
      progress: (state) => {
        ({ subproblems } = state);
        options.progress?.(state);
      },
    },
  );
  if (tried.reason !== 'time' || engine.expired()) return tried;

  const goals = tried.open.map((goal) => options.goals[goal] as ReluSplittingOptions['goals'][number]);
  const numbered = (goal: number) => tried.open[goal] as number;
  const since = <T extends { readonly subproblems: number; readonly lowerBound: number }>(state: T): T => ({
    ...state,
    subproblems: tried.subproblems + state.subproblems,
    lowerBound: Math.max(tried.lowerBound, state.lowerBound),
  });
  const { leaf } = options;
  const result = await splitRelus(engine, {
    ...options,
    goals,
    hulls: await chooseHulls(engine, { ...options, goals }),
    ...(leaf && { leaf: (signs, goal) => leaf(signs, numbered(goal)) }),
    found: (point, goal) => options.found(point, numbered(goal)),
    progress: (state) => options.progress?.(since(state)),
  });
  return { ...since(result), open: result.open.map(numbered) };
}
