/**
 * The programs of branch and bound on the signs of ReLUs: subproblems of one box in, bounds and candidates
 * for the next decision out, one column a subproblem.
 */
import { featuresOf } from '../../network/layers/layer.js';
import type { NetworkNode } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { dualOf } from './dual-program.js';
import {
  above,
  type Ends,
  type Engine,
  type Floats,
  floats,
  type Goal,
  type HiddenBounds,
} from './engine.js';
import { columnsOf, regionFeeds } from './hidden-bounds.js';
import type { Hulls } from './hull-choice.js';
import type { Signs } from './leaf.js';
import {
  bestAt,
  decidedBy,
  type Multipliers,
  multiplierFeeds,
  multipliersAt,
  type Outputs,
  type Segment,
  segmentsOf,
  trialFeeds,
} from './part-arrays.js';
import { type UnstableRelus, unstableRelus } from './unstable.js';

/** A part of the box by decided ReLUs. */
export interface Subproblem extends Multipliers {
  /** Number of its goal. */
  readonly goal: number;
  /** Lower bound of the goal's row minus its threshold. */
  readonly bound: number;
}

/** A subproblem after its ascent. */
export interface Bounded {
  readonly subproblem: Subproblem;
  /** ReLUs that may be decided next; none where its bound is positive or all are decided. */
  readonly candidates: readonly number[];
  /** Where its linear bound is least, [inputs], if the goal's row is not positive there. */
  readonly reached?: Float32Array;
}

/** One box and what is to be shown on it. */
export interface ReluRegion {
  readonly box: Ends;
  readonly hidden: HiddenBounds;
  readonly goals: readonly Goal[];
  /** Steps of ascent for each subproblem (default 3). */
  readonly iterations?: number;
  /** Sides of the hulls of what convolutions feed, chosen for the whole box for each goal. */
  readonly hulls?: Hulls;
}

/** Candidates for a decision by each of the two scores. */
const CANDIDATES = 2;
/**
 * Children begin where their parent's ascent ended: 20 steps each raise bounds hardly more, and cost almost
 * twice as much.
 */
const ITERATIONS = 3;

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
  readonly #segments: readonly Segment[];

  constructor(
    readonly engine: Engine,
    readonly options: ReluRegion,
  ) {
    const { network: net } = engine;
    const { box, hidden, goals } = options;
    this.unstable = unstableRelus(engine, net, hidden);
    this.#segments = segmentsOf(this.unstable);
    this.most = columnsOf(engine);
    this.#region = { ...regionFeeds(box, hidden), ...this.unstable.feeds, ...options.hulls?.feeds };
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
      (_, goal): Subproblem => ({
        ...{ goal, decisions: [], beta: [], bound: Number.NEGATIVE_INFINITY },
        alpha: this.options.hulls?.parts[goal]?.alpha ?? alpha,
      }),
    );
  }

  /** Bounds with ascent, and the candidates of each. */
  async bound(
    subproblems: readonly Subproblem[],
    steps = this.options.iterations ?? ITERATIONS,
  ): Promise<Bounded[]> {
    const columns = this.#columnsFor(subproblems.length);
    const goals = subproblems.map(({ goal }) => goal);
    const outputs = (await this.engine.run(this.#planOf(columns, steps), {
      ...this.#goalFeeds(columns, goals),
      ...this.#partFeeds(columns, subproblems),
    })) as Outputs;
    return subproblems.map((parent, j) => this.#bounded(parent, outputs, columns, j));
  }

  /**
   * Bounds of subproblems with one more ReLU decided, without ascent, less the thresholds.
   * @param trials the number of a subproblem and what is decided in it
   */
  async boundTrials(
    subproblems: readonly Subproblem[],
    trials: readonly (readonly [from: number, decision: number])[],
  ): Promise<number[]> {
    const values: number[] = [];
    for (let start = 0; start < trials.length; start += this.most) {
      const some = trials.slice(start, start + this.most);
      const columns = this.#columnsFor(some.length);
      const numbers = [...new Set(some.map(([from]) => from))];
      const parents = numbers.map((from) => subproblems[from] as Subproblem);
      const place = new Map(numbers.map((from, at) => [from, at]));
      // Most have four candidates, that is eight trials.
      const few = Math.max(2, columns / 4);
      const room = parents.length <= few ? few : columns;
      const goals = some.map(([from]) => (subproblems[from] as Subproblem).goal);
      const { bound } = (await this.engine.run(this.#planOf(columns, 0, room), {
        ...this.#goalFeeds(columns, goals),
        ...this.#partFeeds(room, parents),
        of: Int32Array.from({ length: columns }, (_, t) => place.get(some[t]?.[0] as number) ?? 0),
        ...trialFeeds(
          this.engine,
          this.#segments,
          columns,
          some.map(([, decision]) => decision),
        ),
      })) as Outputs;
      goals.forEach((goal, t) => {
        values.push(above((bound as Floats)[t] as number, this.#goal(goal)));
      });
    }
    return values;
  }

  signsOf({ decisions }: Subproblem): Signs {
    const { node, neuron } = this.unstable;
    const signs = new Map(this.#relus.map((k) => [k, new Map<number, 1 | -1>()]));
    for (const decision of decisions) {
      const i = decidedBy(decision);
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

  #planOf(columns: number, steps: number, parents?: number): Plan {
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
      byColumn: true,
      ...(this.options.hulls && { hulls: this.options.hulls.from }),
      ...(parents !== undefined && { parents }),
    });
  }

  /** Rows of a call; those of columns beyond the goals are zero, with a threshold that is met at once. */
  #goalFeeds(columns: number, goals: readonly number[]): Record<string, Floats> {
    const { engine } = this;
    const rows = floats(engine, engine.network.classes * columns);
    const threshold = floats(engine, columns).fill(-1e30);
    const overInputs = floats(engine, this.#inputRows ? this.#inputs * columns : 0);
    goals.forEach((goal, j) => {
      const { coefficients, inputs, threshold: least } = this.#goal(goal);
      inputs?.forEach((d, k) => {
        overInputs[k * columns + j] = d;
      });
      coefficients.forEach((c, k) => {
        rows[k * columns + j] = c;
      });
      threshold[j] = least;
    });
    return { rows, threshold, ...(this.#inputRows && { 'input rows': overInputs }) };
  }

  #partFeeds(columns: number, subproblems: readonly Subproblem[]): Feeds {
    return { ...this.#region, ...multiplierFeeds(this.engine, this.#segments, columns, subproblems) };
  }

  /** Column j of the outputs of a call. */
  #bounded(parent: Subproblem, outputs: Outputs, columns: number, j: number): Bounded {
    const goal = this.#goal(parent.goal);
    const { coefficients, inputs, threshold } = goal;
    const value = above((outputs.bound as Floats)[j] as number, goal);
    const decided = new Set(parent.decisions.map(decidedBy));
    const top = (what: 'score' | 'gap') => bestAt(what, this.#segments, outputs, j, decided, CANDIDATES);
    const point = (outputs.point as Floats).subarray(j * this.#inputs, (j + 1) * this.#inputs);
    const terms = (c: Float64Array | undefined, v: (k: number) => number) =>
      c?.reduce((sum, a, k) => sum + a * v(k), 0) ?? 0;
    const atPoint =
      terms(coefficients, (k) => (outputs['at point'] as Floats)[k * columns + j] as number) +
      terms(inputs, (k) => Math.fround(point[k] as number));
    return {
      subproblem: {
        ...parent,
        ...multipliersAt(this.#segments, outputs, j, parent.decisions),
        bound: Math.max(parent.bound, value),
      },
      candidates: value > 0 ? [] : [...new Set([...top('score'), ...top('gap')])],
      ...(atPoint <= threshold && { reached: Float32Array.from(point) }),
    };
  }
}
