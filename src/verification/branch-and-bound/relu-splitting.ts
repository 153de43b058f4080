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
import type { Feeds } from '../../runtime/execution/session.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { dualOf, nodeArray } from './dual-program.js';
import { type Ends, type Engine, type Floats, floats, type Goal, type HiddenBounds } from './engine.js';
import { columnsOf, regionFeeds } from './hidden-bounds.js';
import type { SplittingResult } from './input-splitting.js';
import type { Signs } from './leaf.js';
import { type UnstableRelus, unstableRelus } from './unstable.js';
import { type Frontier, worstFirst } from './worst-first.js';

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

const indexOf = (decision: number): number => (decision < 0 ? ~decision : decision);

/** A subproblem after its ascent. */
interface Bounded {
  readonly subproblem: Subproblem;
  /** ReLUs that may be decided next; none where its bound is positive or all are decided. */
  readonly candidates: readonly number[];
  /** Where its linear bound is least, [inputs]. */
  readonly point: Float32Array;
  /** Whether the goal's row is not positive there. */
  readonly reached: boolean;
}

/** Splits one box until every goal is proved, a counterexample is found, or time or memory end. */
export const splitRelus = (engine: Engine, options: ReluSplittingOptions): Promise<ReluSplittingResult> =>
  new ReluSplitting(engine, options).run();

/** One search: its open subproblems and what is known of those that left. */
class ReluSplitting {
  readonly #programs: ReluPrograms;
  readonly #frontier: Frontier<Branch>;
  #subproblems = 0;
  #leaves = 0;
  #leafBound = Number.POSITIVE_INFINITY;
  /** Goals that were bounded once. */
  #begun = 0;
  #found = false;

  constructor(
    readonly engine: Engine,
    readonly options: ReluSplittingOptions,
  ) {
    this.#programs = new ReluPrograms(engine, options);
    this.#frontier = worstFirst(engine);
  }

  async run(): Promise<ReluSplittingResult> {
    const { most } = this.#programs;
    const roots = this.#programs.roots();
    while (this.#begun < roots.length && !this.#found && !this.engine.expired()) {
      const some = roots.slice(this.#begun, this.#begun + most);
      const bounded = await this.#programs.bound(some);
      this.#begun += some.length;
      this.#frontier.push(await this.#settle(bounded));
      this.#report();
    }
    await this.#frontier.work(
      most / 2,
      () => this.#found || this.#full(),
      (parents) => this.#divide(parents),
      () => this.#report(),
    );
    return this.#result();
  }

  #result(): ReluSplittingResult {
    const totals = { subproblems: this.#subproblems, lowerBound: this.#lowerBound(), leaves: this.#leaves };
    const open = (reason: 'time' | 'memory' | 'leaves') => ({ verdict: 'open', ...totals, reason }) as const;
    if (this.#found) return { verdict: 'found', ...totals };
    if (this.#full()) return open('memory');
    if (this.#frontier.length > 0 || this.#begun < this.options.goals.length) return open('time');
    return this.#leaves > 0 ? open('leaves') : { verdict: 'proved', ...totals };
  }

  #full(): boolean {
    return this.#frontier.length * (this.#programs.unstable.count + 300) > this.options.memoryBytes;
  }

  /** −∞ while some goal was never bounded; 0 where nothing is open. */
  #lowerBound(): number {
    return this.#begun < this.options.goals.length
      ? Number.NEGATIVE_INFINITY
      : Math.min(0, this.#frontier.leastBound(), this.#leafBound);
  }

  #report(): void {
    this.options.progress?.({
      subproblems: this.#subproblems,
      open: this.#frontier.length,
      lowerBound: this.#lowerBound(),
    });
  }

  async #divide(parents: readonly Branch[]): Promise<Branch[]> {
    // Few parents decide several ReLUs at once: a call with few columns costs hardly less.
    const levels = Math.max(1, Math.floor(Math.log2(this.#programs.most / 2 / parents.length)));
    const parts = parents.flatMap((parent) => children(parent, parent.next.slice(0, levels)));
    return this.#settle(await this.#programs.bound(parts));
  }

  /** Subproblems that stay open after their bounds, to be divided further. */
  async #settle(bounded: readonly Bounded[]): Promise<Branch[]> {
    this.#subproblems += bounded.length;
    const open = bounded.filter(({ subproblem }) => !(subproblem.bound > 0));
    for (const { subproblem, point, reached } of open)
      if (reached && (await this.#confirm(point, subproblem.goal))) return [];
    await this.#settleLeaves(
      open.flatMap(({ subproblem, candidates }) => (candidates.length === 0 ? [subproblem] : [])),
    );
    return this.#found ? [] : this.#choose(open.filter(({ candidates }) => candidates.length > 0));
  }

  /** Subproblems with all ReLUs decided: by a linear program or, without one, a long ascent. */
  async #settleLeaves(decided: readonly Subproblem[]): Promise<void> {
    const { leaf } = this.options;
    const last =
      leaf || decided.length === 0
        ? decided
        : (await this.#programs.bound(decided, LEAF_ITERATIONS)).map(({ subproblem }) => subproblem);
    for (const one of last.filter(({ bound }) => !(bound > 0))) {
      const solved = await leaf?.(this.#programs.signsOf(one), one.goal);
      if (solved && solved.bound > 0) continue;
      if (solved?.point && (await this.#confirm(solved.point, one.goal))) return;
      this.#leaves++;
      this.#leafBound = Math.min(this.#leafBound, solved?.bound ?? one.bound);
    }
  }

  async #confirm(point: Float32Array, goal: number): Promise<boolean> {
    if (!(await this.options.found(point, goal))) return false;
    this.#found = true;
    return true;
  }

  /**
   * The candidate to decide: both children of each are bounded without ascent. A candidate with both proved
   * closes the subproblem; with one proved, the other sign is decided at once.
   */
  async #choose(open: readonly Bounded[]): Promise<Branch[]> {
    const trials = open.flatMap(({ subproblem, candidates }, from) =>
      candidates.length > 1
        ? candidates.map((i) => ({ from, i, pair: [child(subproblem, i), child(subproblem, ~i)] }))
        : [],
    );
    const values = await this.#programs.boundAsTheyAre(trials.flatMap(({ pair }) => pair));
    const tried = open.map(() => new Map<number, readonly [active: number, inactive: number]>());
    trials.forEach(({ from, i }, t) => {
      tried[from]?.set(i, [values[2 * t] as number, values[2 * t + 1] as number]);
    });
    return open.flatMap(({ subproblem, candidates }, k) =>
      branchOf(subproblem, candidates, (i) => tried[k]?.get(i) ?? [0, 0]),
    );
  }
}

/** The branch that the bounds of the candidates' children leave, if any. */
function branchOf(
  subproblem: Subproblem,
  candidates: readonly number[],
  bounds: (i: number) => readonly [active: number, inactive: number],
): Branch[] {
  const lesser = (i: number) => Math.min(...bounds(i));
  if (candidates.some((i) => lesser(i) > 0)) return [];
  // Where one child is proved there is nothing but the other.
  const forced = candidates.flatMap((i) => (bounds(i)[0] > 0 ? [~i] : bounds(i)[1] > 0 ? [i] : []));
  const next = candidates.filter((i) => !(Math.max(...bounds(i)) > 0)).sort((i, j) => lesser(j) - lesser(i));
  return [{ ...forced.reduce(child, subproblem), next }];
}

/** The programs of one box: subproblems in, bounds out. */
class ReluPrograms {
  readonly unstable: UnstableRelus;
  /** Subproblems of a call, at most. */
  readonly most: number;
  readonly #region: Feeds;
  readonly #relus: readonly number[];
  /** Whether goals have terms over the inputs. */
  readonly #inputRows: boolean;
  readonly #inputs: number;

  constructor(
    readonly engine: Engine,
    readonly options: Pick<ReluSplittingOptions, 'box' | 'hidden' | 'goals' | 'iterations'>,
  ) {
    const { network: net } = engine;
    const { box, hidden, goals } = options;
    this.unstable = unstableRelus(engine, net, hidden);
    this.most = columnsOf(engine);
    this.#region = { ...regionFeeds(box, hidden), ...this.unstable.feeds };
    this.#relus = [...hidden.keys()].filter((k) => (net.nodes[k] as NetworkNode).layer.kind === 'relu');
    this.#inputRows = goals.some(({ inputs }) => inputs !== undefined);
    this.#inputs = featuresOf(net.input);
  }

  /** The whole box for each goal, with CROWN's α. */
  roots(): Subproblem[] {
    const { count, node, neuron } = this.unstable;
    const alpha = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      const { lower, upper } = this.options.hidden.get(node[i] as number) as Ends;
      const at = neuron[i] as number;
      alpha[i] = (upper[at] as number) > -(lower[at] as number) ? 255 : 0;
    }
    return this.options.goals.map(
      (_, goal): Subproblem => ({ goal, decisions: [], alpha, beta: [], bound: Number.NEGATIVE_INFINITY }),
    );
  }

  /** Bounds with ascent, and the candidates of each. */
  async bound(
    subproblems: readonly Subproblem[],
    steps = this.options.iterations ?? ITERATIONS,
  ): Promise<Bounded[]> {
    const columns = this.#columnsFor(subproblems.length);
    const outputs = (await this.engine.run(
      this.#planOf(columns, steps),
      this.#feedsOf(columns, subproblems),
    )) as Outputs;
    return subproblems.map((parent, j) => this.#bounded(parent, outputs, columns, j));
  }

  /** Bounds without ascent, less the thresholds. */
  async boundAsTheyAre(subproblems: readonly Subproblem[]): Promise<number[]> {
    const values: number[] = [];
    for (let start = 0; start < subproblems.length; start += this.most) {
      const some = subproblems.slice(start, start + this.most);
      const columns = this.#columnsFor(some.length);
      const { bound } = await this.engine.run(this.#planOf(columns, 0), this.#feedsOf(columns, some));
      some.forEach(({ goal }, j) => {
        values.push(((bound as Floats)[j] as number) - this.#goal(goal).threshold);
      });
    }
    return values;
  }

  signsOf({ decisions }: Subproblem): Signs {
    const { node, neuron } = this.unstable;
    const signs = new Map(this.#relus.map((k) => [k, new Map<number, 1 | -1>()]));
    for (const decision of decisions) {
      const i = indexOf(decision);
      signs.get(node[i] as number)?.set(neuron[i] as number, decision < 0 ? -1 : 1);
    }
    return signs;
  }

  #goal(index: number): Goal {
    return this.options.goals[index] as Goal;
  }

  #columnsFor(wanted: number): number {
    return wanted <= this.most / 8 ? Math.max(8, this.most / 8) : this.most;
  }

  #planOf(columns: number, steps: number): Plan {
    return dualOf(this.engine, {
      target: this.engine.network.nodes.length - 1,
      columns,
      iterations: steps,
      start: 'rows',
      warm: true,
      decisions: true,
      scores: steps > 0,
      keep: steps > 0,
      inputRows: this.#inputRows,
      unstable: this.unstable.capacity,
    });
  }

  /** Arrays of one call; columns beyond the subproblems are zero, with a threshold that is met at once. */
  #feedsOf(columns: number, subproblems: readonly Subproblem[]): Feeds {
    const { engine } = this;
    const rows = floats(engine, engine.network.classes * columns);
    const threshold = floats(engine, columns).fill(-1e30);
    const feeds: Record<string, Feeds[string]> = { ...this.#region, rows, threshold };
    for (const node of this.#relus)
      for (const what of ['p', 'sign'] as const)
        feeds[nodeArray(what, node)] = floats(engine, (this.unstable.capacity[node] as number) * columns);
    const overInputs = floats(engine, this.#inputRows ? this.#inputs * columns : 0);
    if (this.#inputRows) feeds['input rows'] = overInputs;
    subproblems.forEach((subproblem, j) => {
      const { coefficients, inputs, threshold: least } = this.#goal(subproblem.goal);
      inputs?.forEach((d, k) => {
        overInputs[k * columns + j] = d;
      });
      coefficients.forEach((c, k) => {
        rows[k * columns + j] = c;
      });
      threshold[j] = least;
      this.#writeMultipliers(feeds as Record<string, Floats>, columns, j, subproblem);
    });
    return feeds;
  }

  #writeMultipliers(
    feeds: Readonly<Record<string, Floats>>,
    columns: number,
    j: number,
    { alpha, beta, decisions }: Subproblem,
  ): void {
    const { count, node, row } = this.unstable;
    const write = (what: 'p' | 'sign', i: number, value: number): void => {
      (feeds[nodeArray(what, node[i] as number)] as Floats)[(row[i] as number) * columns + j] = value;
    };
    for (let i = 0; i < count; i++) write('p', i, (alpha[i] as number) / 255);
    decisions.forEach((decision, d) => {
      write('p', indexOf(decision), beta[d] as number);
      write('sign', indexOf(decision), decision < 0 ? -1 : 1);
    });
  }

  /** Column j of the outputs of a call. */
  #bounded(parent: Subproblem, outputs: Outputs, columns: number, j: number): Bounded {
    const { count, node, row } = this.unstable;
    const { coefficients, inputs, threshold } = this.#goal(parent.goal);
    const value = ((outputs.bound as Floats)[j] as number) - threshold;
    const at = (what: 'p' | 'score' | 'gap', i: number) =>
      (outputs[nodeArray(what, node[i] as number)] as Floats)[(row[i] as number) * columns + j] as number;
    const alpha = new Uint8Array(count);
    for (let i = 0; i < count; i++) alpha[i] = Math.round(255 * Math.min(1, at('p', i)));
    const beta = parent.decisions.map((decision) => at('p', indexOf(decision)));
    const decided = new Set(parent.decisions.map(indexOf));
    const open = Array.from({ length: count }, (_, i) => i).filter((i) => !decided.has(i));
    const top = (what: 'score' | 'gap') => best(open, (i) => at(what, i), CANDIDATES);
    const column = (of: Floats, k: number) => of[k * columns + j] as number;
    const point = Float32Array.from({ length: this.#inputs }, (_, k) => column(outputs.point as Floats, k));
    const terms = (c: Float64Array | undefined, v: (k: number) => number) =>
      c?.reduce((sum, a, k) => sum + a * v(k), 0) ?? 0;
    const atPoint =
      terms(coefficients, (k) => column(outputs['at point'] as Floats, k)) +
      terms(inputs, (k) => point[k] as number);
    return {
      subproblem: { ...parent, alpha, beta, bound: Math.max(parent.bound, value) },
      candidates: value > 0 ? [] : [...new Set([...top('score'), ...top('gap')])],
      point,
      reached: atPoint <= threshold,
    };
  }
}

type Outputs = Readonly<Record<string, Floats>>;

/** The subproblem with one more ReLU decided: i for z ≥ 0, ~i for z ≤ 0. */
const child = ({ goal, decisions, alpha, beta, bound }: Subproblem, decision: number): Subproblem => ({
  goal,
  decisions: [...decisions, decision],
  alpha,
  beta: [...beta, 0],
  bound,
});

const children = (parent: Subproblem, next: readonly number[]): Subproblem[] =>
  next.reduce((parts: Subproblem[], i) => parts.flatMap((one) => [child(one, i), child(one, ~i)]), [parent]);

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
