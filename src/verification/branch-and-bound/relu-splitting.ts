/**
 * Branch and bound on the signs of ReLUs (Bunel et al. 2020; β-CROWN, Wang et al. 2021): what one box and one
 * row still leave open.
 *
 * A subproblem is a list of decided ReLUs. Its two children decide one more; their bounds are raised
 * together, many subproblems at once. The ReLU to decide is chosen among the best of a score of its influence
 * (BaBSR) and of its triangle's gap by bounding both children of each candidate without ascent (filtered
 * smart branching, De Palma et al. 2021): the sum of both is to be the greatest. A candidate of which that
 * proves one child costs nothing: the other sign is decided at once. Worst bounds first.
 */
import type { ProvedPart } from '../proof/trace.js';
import type { Engine } from './engine.js';
import type { Hulls } from './hull-choice.js';
import type { SplittingResult } from './input-splitting.js';
import type { Signs } from './leaf.js';
import { type Bounded, ReluPrograms, type ReluRegion, type Subproblem } from './relu-programs.js';
import { type Frontier, worstFirst } from './worst-first.js';

/** A subproblem with the ReLUs that are to be decided next, the best first. */
interface Branch extends Subproblem {
  readonly next: readonly number[];
}

export interface ReluSplittingOptions extends ReluRegion {
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
  /**
   * Sides of hulls for open parts, the worst ones, asked for from time to time; undefined if they are not
   * worth it any more.
   */
  readonly renew?: (parts: readonly Subproblem[]) => Promise<Hulls | undefined>;
  /** Subproblems between (default 2000). */
  readonly renewAfter?: number;
  /** Called with each part that is proved, where somebody wants to know. */
  readonly proved?: (part: ProvedPart, goal: number) => void;
  readonly progress?: (state: {
    readonly subproblems: number;
    readonly open: number;
    readonly lowerBound: number;
  }) => void;
}

export interface ReluSplittingResult extends SplittingResult {
  /** Subproblems with all ReLUs decided whose bound is not positive. */
  readonly leaves: number;
  /** Goals of which something is open. */
  readonly open: readonly number[];
}

/** Where all ReLUs are decided and no linear program tells what is left, this is the last chance. */
const LEAF_ITERATIONS = 50;
/** Sides of hulls are chosen anew for so many parts. */
const RENEWED = 128;
/** After so many subproblems. */
const RENEW_AFTER = 2000;

/** Splits one box until every goal is proved, a counterexample is found, or time or memory end. */
export const splitRelus = (engine: Engine, options: ReluSplittingOptions): Promise<ReluSplittingResult> =>
  new ReluSplitting(engine, options).run();

/** One search: its open subproblems and what is known of those that left. */
class ReluSplitting {
  #programs: ReluPrograms;
  readonly #frontier: Frontier<Branch>;
  #subproblems = 0;
  #leaves = 0;
  #leafBound = Number.POSITIVE_INFINITY;
  readonly #leafGoals = new Set<number>();
  /** Goals that were bounded once. */
  #begun = 0;
  #found = false;
  /** Parts for which sides of hulls are being chosen. */
  #chosenFor: readonly Branch[] = [];

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
    let renewing = this.options.renew !== undefined;
    while (renewing) {
      const due = this.#subproblems + (this.options.renewAfter ?? RENEW_AFTER);
      await this.#work(() => this.#subproblems >= due);
      renewing = !this.#over() && this.#frontier.length > 0 && (await this.#renew());
    }
    await this.#work(() => false);
    return this.#result();
  }

  #over(): boolean {
    return this.#found || this.#full() || this.engine.expired();
  }

  /** Divides what is open, until it is time for something else. */
  #work(until: () => boolean): Promise<void> {
    return this.#frontier.work(
      this.#programs.most / 2,
      () => this.#found || this.#full() || until(),
      (parents) => this.#divide(parents),
      () => this.#report(),
    );
  }

  /** Sides chosen anew for the worst parts, while the others are divided. @returns whether there are any */
  async #renew(): Promise<boolean> {
    const { renew } = this.options;
    const worst = this.#frontier.take(RENEWED);
    this.#chosenFor = worst;
    let done = false;
    const choice = renew?.(worst).finally(() => {
      done = true;
    });
    const [hulls] = await Promise.all([choice, this.#work(() => done)]);
    this.#chosenFor = [];
    if (hulls) this.#programs = new ReluPrograms(this.engine, { ...this.options, hulls });
    this.#frontier.push(worst.map((part, j) => raisedBy(part, hulls, j)));
    this.#report();
    return hulls !== undefined;
  }

  #result(): ReluSplittingResult {
    const totals = {
      ...{ subproblems: this.#subproblems, lowerBound: this.#lowerBound(), leaves: this.#leaves },
      open: this.#openGoals(),
    };
    const open = (reason: 'time' | 'memory' | 'leaves') => ({ verdict: 'open', ...totals, reason }) as const;
    if (this.#found) return { verdict: 'found', ...totals };
    if (this.#full()) return open('memory');
    if (this.#frontier.length > 0 || this.#begun < this.options.goals.length) return open('time');
    return this.#leaves > 0 ? open('leaves') : { verdict: 'proved', ...totals };
  }

  #openGoals(): number[] {
    const waiting = new Set(this.#frontier.waiting().map(({ goal }) => goal));
    return this.options.goals.flatMap((_, goal) =>
      goal >= this.#begun || waiting.has(goal) || this.#leafGoals.has(goal) ? [goal] : [],
    );
  }

  #full(): boolean {
    return this.#frontier.length * (this.#programs.unstable.count + 300) > this.options.memoryBytes;
  }

  /** −∞ while some goal was never bounded; 0 where nothing is open. */
  #lowerBound(): number {
    return this.#begun < this.options.goals.length
      ? Number.NEGATIVE_INFINITY
      : Math.min(0, this.#frontier.leastBound(), this.#chosenFor[0]?.bound ?? 0, this.#leafBound);
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
    for (const { subproblem } of bounded) if (subproblem.bound > 0) this.#prove(subproblem);
    const open = bounded.filter(({ subproblem }) => !(subproblem.bound > 0));
    for (const { subproblem, reached } of open)
      if (reached && (await this.#confirm(reached, subproblem.goal))) return [];
    const decided = open.flatMap(({ subproblem, candidates }) =>
      candidates.length === 0 ? [subproblem] : [],
    );
    if (await this.#settleLeaves(decided)) return [];
    return this.#choose(open.filter(({ candidates }) => candidates.length > 0));
  }

  #prove({ goal, ...part }: Subproblem): void {
    this.options.proved?.(part, goal);
  }

  /**
   * Subproblems with all ReLUs decided: by a linear program or, without one, a long ascent.
   * @returns whether one is a counterexample
   */
  async #settleLeaves(decided: readonly Subproblem[]): Promise<boolean> {
    const { leaf } = this.options;
    const last =
      leaf || decided.length === 0
        ? decided
        : (await this.#programs.bound(decided, LEAF_ITERATIONS)).map(({ subproblem }) => subproblem);
    for (const one of last) {
      const solved = one.bound > 0 ? undefined : await leaf?.(this.#programs.signsOf(one), one.goal);
      if (one.bound > 0 || (solved && solved.bound > 0)) {
        this.#prove(one);
        continue;
      }
      if (solved?.point && (await this.#confirm(solved.point, one.goal))) return true;
      this.#leaves++;
      this.#leafGoals.add(one.goal);
      this.#leafBound = Math.min(this.#leafBound, solved?.bound ?? one.bound);
    }
    return false;
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
    const trials = open.flatMap(({ candidates }, from) =>
      candidates.length > 1 ? candidates.map((i) => ({ from, i })) : [],
    );
    const values = await this.#programs.boundTrials(
      open.map(({ subproblem }) => subproblem),
      trials.flatMap(({ from, i }) => [[from, i] as const, [from, ~i] as const]),
    );
    const tried = open.map(() => new Map<number, readonly [active: number, inactive: number]>());
    trials.forEach(({ from, i }, t) => {
      tried[from]?.set(i, [values[2 * t] as number, values[2 * t + 1] as number]);
    });
    return open.flatMap(({ subproblem, candidates }, k) =>
      branchOf(
        subproblem,
        candidates,
        (i) => tried[k]?.get(i) ?? [0, 0],
        (part) => this.#prove(part),
      ),
    );
  }
}

/**
 * The branch that the bounds of the candidates' children leave, if any: a child with a positive bound is
 * proved, so its sibling is what stays open.
 */
export function branchOf(
  subproblem: Subproblem,
  candidates: readonly number[],
  bounds: (i: number) => readonly [active: number, inactive: number],
  proved: (part: Subproblem) => void = () => {},
): Branch[] {
  const lesser = (i: number) => Math.min(...bounds(i));
  // Neither child is proved where they are compared.
  const both = (i: number) => bounds(i)[0] + bounds(i)[1];
  const closing = candidates.find((i) => lesser(i) > 0);
  if (closing !== undefined) {
    for (const decision of [closing, ~closing]) proved(child(subproblem, decision));
    return [];
  }
  // Where one child is proved there is nothing but the other.
  const forced = candidates.flatMap((i) => (bounds(i)[0] > 0 ? [~i] : bounds(i)[1] > 0 ? [i] : []));
  const next = candidates.filter((i) => !(Math.max(...bounds(i)) > 0)).sort((i, j) => both(j) - both(i));
  const rest = forced.reduce((part, decision) => {
    proved(child(part, ~decision));
    return child(part, decision);
  }, subproblem);
  return [{ ...rest, next }];
}

/**
 * A part with what the choice of sides came to for it, the j-th. That proves nothing: parts are proved as
 * they are divided, by sides that were moved in float64 for what float32 may lose (`sidesOf`).
 */
function raisedBy(part: Branch, hulls: Hulls | undefined, j: number): Branch {
  const bound = Math.max(part.bound, Math.min(0, hulls?.bounds[j] ?? part.bound));
  return { ...part, ...hulls?.parts[j], bound };
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
  next.reduce((parts: Subproblem[], i) => parts.flatMap((one) => [child(one, i), child(one, ~i)]), [parent]);
