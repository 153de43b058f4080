/**
 * The programs of branch and bound on the signs of ReLUs: subproblems of one box in, bounds and candidates
 * for the next decision out, one column a subproblem.
 */
import { featuresOf } from '../../network/layers/layer.js';
import type { NetworkNode } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { dualOf } from './dual-program.js';
import { type Ends, type Engine, type Floats, floats, type Goal, type HiddenBounds } from './engine.js';
import { columnsOf, regionFeeds } from './hidden-bounds.js';
import type { Signs } from './leaf.js';
import { nodeArray } from './relu-lines.js';
import { type UnstableRelus, unstableRelus } from './unstable.js';

/** A part of the box by decided ReLUs. */
export interface Subproblem {
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

/** A subproblem after its ascent. */
export interface Bounded {
  readonly subproblem: Subproblem;
  /** ReLUs that may be decided next; none where its bound is positive or all are decided. */
  readonly candidates: readonly number[];
  /** Where its linear bound is least, [inputs]. */
  readonly point: Float32Array;
  /** Whether the goal's row is not positive there. */
  readonly reached: boolean;
}

/** One box and what is to be shown on it. */
export interface ReluRegion {
  readonly box: Ends;
  readonly hidden: HiddenBounds;
  readonly goals: readonly Goal[];
  /** Steps of ascent for each subproblem (default 3). */
  readonly iterations?: number;
}

/** Candidates for a decision by each of the two scores. */
const CANDIDATES = 3;
/**
 * Children begin where their parent's ascent ended: 20 steps each raise bounds hardly more, and cost almost
 * twice as much.
 */
const ITERATIONS = 3;
type Outputs = Readonly<Record<string, Floats>>;

/** Distance of a bound above its goal's threshold; −∞ where arithmetic overflowed, which proves nothing. */
const above = (bound: number, { threshold }: Goal): number =>
  Number.isFinite(bound) ? bound - threshold : Number.NEGATIVE_INFINITY;

const indexOf = (decision: number): number => (decision < 0 ? ~decision : decision);

/** The programs of one box: subproblems in, bounds out. */
export class ReluPrograms {
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
    readonly options: ReluRegion,
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
        values.push(above((bound as Floats)[j] as number, this.#goal(goal)));
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
    const goal = this.#goal(parent.goal);
    const { coefficients, inputs, threshold } = goal;
    const value = above((outputs.bound as Floats)[j] as number, goal);
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
