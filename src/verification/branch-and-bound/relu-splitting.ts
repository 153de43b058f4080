/**
 * Branch and bound on the signs of ReLUs (Bunel et al. 2020; β-CROWN, Wang et al. 2021): what one box and one
 * row still leave open.
 *
 * A subproblem is a list of decided ReLUs. Its two children decide one more; their bounds are raised
 * together, many subproblems at once. The ReLU to decide is chosen among the best of a score of its influence
 * (BaBSR) and of its triangle's gap by bounding both children of each candidate without ascent (filtered
 * smart branching, De Palma et al. 2021), the lesser child being the greatest. A candidate of which that
 * proves one child costs nothing: the other sign is decided at once. Worst bounds first.
 */
import { featuresOf } from '../../network/layers/layer.js';
import type { NetworkNode } from '../../network/network.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { dualOf, nodeArray } from './dual-program.js';
import type { Ends, HiddenBounds } from './ends.js';
import { type Engine, type Floats, floats } from './engine.js';
import type { Goal } from './goal.js';
import { columnsOf, regionFeeds } from './hidden-bounds.js';
import type { SplittingResult } from './input-splitting.js';
import type { Signs } from './leaf.js';
import { unstableRelus } from './unstable.js';
import { worstFirst } from './worst-first.js';

/** A part of the box by decided ReLUs. */
interface Subproblem {
  /** Number of its goal. */
  readonly goal: number;
  /** Decided ReLUs by their number among the unstable ones: i for z ≥ 0, ~i for z ≤ 0. */
  readonly decisions: readonly number[];
  /** α of the unstable ReLUs in 255ths. */
  readonly alpha: Uint8Array;
  /** β of the decisions. */
  readonly beta: readonly number[];
  /** Lower bound of the goal's row minus its threshold. */
  readonly bound: number;
}

/** A subproblem with the ReLUs that are to be decided next, the best first. */
interface Branch extends Subproblem {
  readonly next: readonly number[];
}

export interface ReluSplittingOptions {
  readonly box: Ends;
  readonly hidden: HiddenBounds;
  readonly goals: readonly Goal[];
  /** Steps of ascent for each subproblem (default 3). */
  readonly iterations?: number;
  /** Bytes that the open subproblems may take. */
  readonly memoryBytes: number;
  /** What is left of a goal where all ReLUs are decided, if it can be told: as `LeafSolver.solve`. */
  readonly leaf?: (
    signs: Signs,
    goal: number,
  ) => Promise<{ bound: number; point: Float32Array | undefined } | undefined>;
  /**
   * Called with the input [inputs] at which a subproblem's linear bound is least. True ends the search: it is
   * a counterexample.
   */
  readonly found: (point: Float32Array, goal: number) => Promise<boolean>;
  readonly progress?: (state: {
    readonly subproblems: number;
    readonly open: number;
    readonly lowerBound: number;
  }) => void;
}

export interface ReluSplittingResult extends SplittingResult {
  /** Subproblems with all ReLUs decided whose bound is not positive. */
  readonly leaves: number;
}

/** Candidates for a decision by each of the two scores. */
const CANDIDATES = 3;
/**
 * Children begin where their parent's ascent ended: 20 steps each raise bounds hardly more, and cost almost
 * twice as much.
 */
const ITERATIONS = 3;
/** Where all ReLUs are decided and no linear program tells what is left, this is the last chance. */
const LEAF_ITERATIONS = 50;

/** How far a bound is above its goal's threshold; −∞ where arithmetic overflowed, which proves nothing. */
const above = (bound: number, { threshold }: Goal): number =>
  Number.isFinite(bound) ? bound - threshold : Number.NEGATIVE_INFINITY;

const indexOf = (decision: number): number => (decision < 0 ? ~decision : decision);

export async function splitRelus(
  engine: Engine,
  options: ReluSplittingOptions,
): Promise<ReluSplittingResult> {
  const { network: net } = engine;
  const { box, hidden, goals, memoryBytes, iterations = ITERATIONS } = options;
  const last = net.nodes.length - 1;
  const unstable = unstableRelus(engine, net, hidden);
  const { count, node: nodeOf, neuron: neuronOf, row: rowOf } = unstable;
  const most = columnsOf(engine);
  const inputRows = goals.some(({ inputs }) => inputs !== undefined);
  const inputCount = featuresOf(net.input);
  const planOf = (columns: number, steps: number): Plan =>
    dualOf(engine, {
      target: last,
      columns,
      iterations: steps,
      start: 'rows',
      warm: true,
      decisions: true,
      scores: steps > 0,
      keep: steps > 0,
      inputRows,
      unstable: unstable.capacity,
    });
  const region = { ...regionFeeds(box, hidden), ...unstable.feeds };
  const relus = [...hidden.keys()].filter((node) => (net.nodes[node] as NetworkNode).layer.kind === 'relu');

  /** Arrays of one call. Columns beyond the given ones repeat the first. */
  function feedsOf(columns: number, given: readonly Subproblem[]): Record<string, Floats> {
    const rows = floats(engine, net.classes * columns);
    const threshold = floats(engine, columns).fill(-1e30);
    const feeds: Record<string, Floats> = { ...(region as Record<string, Floats>), rows, threshold };
    const p = new Map<number, Floats>();
    const sign = new Map<number, Floats>();
    for (const node of relus) {
      const size = (unstable.capacity[node] as number) * columns;
      p.set(node, floats(engine, size));
      sign.set(node, floats(engine, size));
      feeds[nodeArray('p', node)] = p.get(node) as Floats;
      feeds[nodeArray('sign', node)] = sign.get(node) as Floats;
    }
    const overInputs = inputRows ? floats(engine, inputCount * columns) : undefined;
    if (overInputs) feeds['input rows'] = overInputs;
    given.forEach(({ goal, decisions, alpha, beta }, j) => {
      const { coefficients, inputs, threshold: least } = goals[goal] as Goal;
      inputs?.forEach((d, k) => {
        (overInputs as Floats)[k * columns + j] = d;
      });
      coefficients.forEach((c, k) => {
        rows[k * columns + j] = c;
      });
      threshold[j] = least;
      for (let i = 0; i < count; i++)
        (p.get(nodeOf[i] as number) as Floats)[(rowOf[i] as number) * columns + j] =
          (alpha[i] as number) / 255;
      decisions.forEach((decision, d) => {
        const i = indexOf(decision);
        const at = (rowOf[i] as number) * columns + j;
        (p.get(nodeOf[i] as number) as Floats)[at] = beta[d] as number;
        (sign.get(nodeOf[i] as number) as Floats)[at] = decision < 0 ? -1 : 1;
      });
    });
    return feeds;
  }

  const capacity = (wanted: number): number => (wanted <= most / 8 ? Math.max(8, most / 8) : most);

  /** Bounds with ascent, and the candidates of each. */
  async function bound(
    given: readonly Subproblem[],
    steps = iterations,
  ): Promise<{ made: Subproblem; candidates: number[]; point: Float32Array; reached: boolean }[]> {
    const columns = capacity(given.length);
    const outputs = (await engine.run(planOf(columns, steps), feedsOf(columns, given))) as Record<
      string,
      Floats
    >;
    return given.map((parent, j) => {
      const value = above((outputs.bound as Floats)[j] as number, goals[parent.goal] as Goal);
      const at = (what: 'p' | 'score' | 'gap', i: number) =>
        (outputs[nodeArray(what, nodeOf[i] as number)] as Floats)[
          (rowOf[i] as number) * columns + j
        ] as number;
      const alpha = new Uint8Array(count);
      for (let i = 0; i < count; i++) alpha[i] = Math.round(255 * Math.min(1, at('p', i)));
      const beta = parent.decisions.map((decision) => at('p', indexOf(decision)));
      const decided = new Set(parent.decisions.map(indexOf));
      const open = Array.from({ length: count }, (_, i) => i).filter((i) => !decided.has(i));
      const top = (what: 'score' | 'gap') => best(open, (i) => at(what, i), CANDIDATES);
      const candidates = value > 0 ? [] : [...new Set([...top('score'), ...top('gap')])];
      const point = Float32Array.from(
        { length: inputCount },
        (_, k) => (outputs.point as Floats)[k * columns + j] as number,
      );
      const { coefficients, inputs, threshold } = goals[parent.goal] as Goal;
      const terms = (c: Float64Array | undefined, v: (k: number) => number) =>
        c?.reduce((sum, a, k) => sum + a * v(k), 0) ?? 0;
      const there =
        terms(coefficients, (k) => (outputs['at point'] as Floats)[k * columns + j] as number) +
        terms(inputs, (k) => point[k] as number);
      return {
        made: { ...parent, alpha, beta, bound: Math.max(parent.bound, value) },
        candidates,
        point,
        reached: there <= threshold,
      };
    });
  }

  /**
   * Which candidate to decide: both children of each are bounded as they are. What that proves is left out,
   * and what it forces decided.
   */
  async function choose(
    open: readonly { made: Subproblem; candidates: readonly number[] }[],
  ): Promise<Branch[]> {
    const trials = open.flatMap(({ made, candidates }, from) =>
      candidates.length > 1
        ? candidates.flatMap((i) => [
            { from, i, made: child(made, i) },
            { from, i, made: child(made, ~i) },
          ])
        : [],
    );
    const values: number[] = [];
    for (let start = 0; start < trials.length; start += most) {
      const some = trials.slice(start, start + most);
      const columns = capacity(some.length);
      const { bound: bounds } = await engine.run(
        planOf(columns, 0),
        feedsOf(
          columns,
          some.map(({ made }) => made),
        ),
      );
      some.forEach(({ made }, j) => {
        values.push(above((bounds as Floats)[j] as number, goals[made.goal] as Goal));
      });
    }
    const tried = open.map(() => new Map<number, readonly [active: number, inactive: number]>());
    trials.forEach(({ from, i }, t) => {
      if (t % 2 === 0) tried[from]?.set(i, [values[t] as number, values[t + 1] as number]);
    });
    return open.flatMap(({ made, candidates }, k) => {
      const bounds = (i: number) => tried[k]?.get(i) ?? [0, 0];
      const lesser = (i: number) => Math.min(...bounds(i));
      if (candidates.some((i) => lesser(i) > 0)) return [];
      // Where one child is proved there is nothing but the other.
      const forced = candidates.flatMap((i) => (bounds(i)[0] > 0 ? [~i] : bounds(i)[1] > 0 ? [i] : []));
      const next = candidates
        .filter((i) => !(Math.max(...bounds(i)) > 0))
        .sort((i, j) => lesser(j) - lesser(i));
      return [{ ...forced.reduce(child, made), next }];
    });
  }

  function signsOf({ decisions }: Subproblem): Signs {
    const signs = new Map(relus.map((node) => [node, new Map<number, 1 | -1>()]));
    for (const decision of decisions) {
      const i = indexOf(decision);
      signs.get(nodeOf[i] as number)?.set(neuronOf[i] as number, decision < 0 ? -1 : 1);
    }
    return signs;
  }

  const bytes = count + 300;
  const frontier = worstFirst<Branch>(engine);
  let subproblems = 0;
  let leaves = 0;
  let verdict: 'found' | undefined;
  let leafBound = Number.POSITIVE_INFINITY;
  let begun = 0;
  const full = () => frontier.length * bytes > memoryBytes;
  // Of a goal that was never bounded nothing is known; 0 where nothing is open.
  const lowerBound = () =>
    begun < goals.length ? Number.NEGATIVE_INFINITY : Math.min(0, frontier.leastBound(), leafBound);
  const report = () => options.progress?.({ subproblems, open: frontier.length, lowerBound: lowerBound() });

  /** What is left of subproblems that are bounded, to be divided further. */
  async function settle(bounded: Awaited<ReturnType<typeof bound>>): Promise<Branch[]> {
    subproblems += bounded.length;
    const open = bounded.filter(({ made }) => !(made.bound > 0));
    for (const { made, point, reached } of open)
      if (reached && (await options.found(point, made.goal))) {
        verdict = 'found';
        return [];
      }
    const decided = open.flatMap(({ made, candidates }) => (candidates.length === 0 ? [made] : []));
    const last =
      options.leaf || decided.length === 0
        ? decided
        : (await bound(decided, LEAF_ITERATIONS)).map(({ made }) => made);
    for (const made of last.filter((one) => !(one.bound > 0))) {
      const solved = await options.leaf?.(signsOf(made), made.goal);
      if (solved && solved.bound > 0) continue;
      if (solved?.point && (await options.found(solved.point, made.goal))) {
        verdict = 'found';
        return [];
      }
      leaves++;
      leafBound = Math.min(leafBound, solved?.bound ?? made.bound);
    }
    return choose(open.filter(({ candidates }) => candidates.length > 0));
  }

  const alpha = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const { lower, upper } = hidden.get(nodeOf[i] as number) as Ends;
    alpha[i] = (upper[neuronOf[i] as number] as number) > -(lower[neuronOf[i] as number] as number) ? 255 : 0;
  }
  const roots = goals.map(
    (_, goal): Subproblem => ({ goal, decisions: [], alpha, beta: [], bound: Number.NEGATIVE_INFINITY }),
  );
  while (begun < roots.length && verdict === undefined && !engine.expired()) {
    const some = roots.slice(begun, begun + most);
    const bounded = await bound(some);
    begun += some.length;
    frontier.push(await settle(bounded));
    report();
  }
  const over = () => verdict !== undefined || full();
  const divide = async (parents: readonly Branch[]): Promise<Branch[]> => {
    // Few parents decide several ReLUs at once: a call with few columns costs hardly less.
    const levels = Math.max(1, Math.floor(Math.log2(most / 2 / parents.length)));
    return settle(await bound(parents.flatMap((parent) => children(parent, parent.next.slice(0, levels)))));
  };
  await frontier.work(most / 2, over, divide, report);

  const totals = { subproblems, lowerBound: lowerBound(), leaves };
  if (verdict === 'found') return { verdict, ...totals };
  if (full()) return { verdict: 'open', ...totals, reason: 'memory' };
  if (frontier.length > 0 || begun < goals.length) return { verdict: 'open', ...totals, reason: 'time' };
  return leaves > 0 ? { verdict: 'open', ...totals, reason: 'leaves' } : { verdict: 'proved', ...totals };
}

/** The subproblem with one more ReLU decided: i for z ≥ 0, ~i for z ≤ 0. */
const child = ({ goal, decisions, alpha, beta, bound }: Subproblem, decision: number): Subproblem => ({
  goal,
  decisions: [...decisions, decision],
  alpha,
  beta: [...beta, 0],
  bound,
});

const children = (parent: Subproblem, next: readonly number[]): Subproblem[] =>
  next.reduce((made: Subproblem[], i) => made.flatMap((one) => [child(one, i), child(one, ~i)]), [parent]);

/** The `count` indices of greatest positive score. */
function best(indices: readonly number[], score: (index: number) => number, count: number): number[] {
  const found: { index: number; value: number }[] = [];
  for (const index of indices) {
    const value = score(index);
    if (found.length === count && value <= (found.at(-1) as { value: number }).value) continue;
    found.push({ index, value });
    found.sort((a, b) => b.value - a.value);
    if (found.length > count) found.pop();
  }
  return found.map(({ index }) => index);
}
