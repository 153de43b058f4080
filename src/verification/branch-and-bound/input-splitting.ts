/**
 * Branch and bound on the inputs: boxes are halved until CROWN's bounds prove each part. The way for networks
 * of few inputs, and the only complete one for activations that are not piecewise linear.
 *
 * Bounds of every layer are computed anew for each part, a batch of parts at once. The input that is halved
 * is the one of which that gains most (`input-choice.ts`). Worst bounds first.
 */
import { proofThreshold } from '../proof/rounding.js';
import type { BoxTrace, HalvedBox } from '../proof/trace.js';
import {
  type Box,
  centreOf,
  linearValue,
  type Polytope,
  sizeOfTerms,
  violation,
} from '../property/property.js';
import { allowance } from './allowance.js';
import type { Engine } from './engine.js';
import { inputToHalve, raiseScores, sharesOfWidth } from './input-choice.js';
import { InputPrograms, type PartBounding, type PartBounds } from './input-programs.js';
import { PartByPart } from './part-by-part.js';
import { type Frontier, worstFirst } from './worst-first.js';

/** A part of a box with the polytopes, by number, that are open on it. */
interface Part {
  readonly box: Box;
  /** The box that it is part of. */
  readonly whole: Box;
  readonly open: readonly number[];
  /** The least over open polytopes of the best bound of its inequalities. */
  readonly bound: number;
  /** Input to halve next. */
  readonly next: number;
  /** Where it is written how it is halved, if that is asked for. */
  readonly trace: HalvedBox | undefined;
}

export interface InputSplittingOptions {
  readonly polytopes: readonly Polytope[];
  /** Bytes that the open parts may take. */
  readonly memoryBytes: number;
  /** Whether parts are bounded one after the other: the network's neurons are many. */
  readonly partByPart?: boolean;
  /** Whether the result is to say how all was proved. */
  readonly traced?: boolean;
  /**
   * Called with the centre of a part at which polytope number `polytope` is all but reached. True ends the
   * search: it is a counterexample.
   */
  readonly found: (point: Float32Array, polytope: number) => Promise<boolean>;
  readonly progress?: (state: {
    readonly subproblems: number;
    readonly open: number;
    readonly lowerBound: number;
  }) => void;
}

export interface SplittingResult {
  readonly verdict: 'proved' | 'found' | 'open';
  readonly subproblems: number;
  /** Lower bound of what is open beside what would prove it; 0 or more where nothing is. */
  readonly lowerBound: number;
  /** Why something is open: no time or memory left, or parts that cannot be divided any further. */
  readonly reason?: 'time' | 'memory' | 'leaves';
  /** How all was proved. */
  readonly traces?: readonly BoxTrace[];
}

/** Inequalities bounded in each column. */
const MOST_ROWS = 64;
/** A centre this close to unsafe, beside the size of its outputs, is tried as a counterexample. */
const NEARLY = 1e-5;
/**
 * Parts narrower than this, beside the size of their ends, are as narrow as the engine's numbers tell apart.
 */
const NARROW = { float32: 2 ** -22, float64: 2 ** -48 };

/** Groups of polytopes that share a box, few enough for their inequalities to fit one column. */
interface Group {
  readonly box: Box;
  readonly open: number[];
  /** Inequalities of all of them. */
  rows: number;
}

function groupsOf(polytopes: readonly Polytope[]): Group[] {
  const groups: Group[] = [];
  const latest = new Map<Box, Group>();
  polytopes.forEach(({ box, unsafe }, index) => {
    let group = latest.get(box);
    if (group === undefined || group.rows + unsafe.length > MOST_ROWS) {
      group = { box, open: [], rows: 0 };
      latest.set(box, group);
      groups.push(group);
    }
    group.open.push(index);
    group.rows += unsafe.length;
  });
  return groups;
}

export const splitInputs = (engine: Engine, options: InputSplittingOptions): Promise<SplittingResult> =>
  new InputSplitting(engine, options).run();

/** One search: its open parts and what is known of those that cannot be halved any further. */
class InputSplitting {
  readonly #programs: PartBounding;
  readonly #groups: readonly Group[];
  readonly #frontier: Frontier<Part>;
  #subproblems = 0;
  #leafBound = Number.POSITIVE_INFINITY;
  /** Groups that were bounded once. */
  #begun = 0;
  #found = false;
  /** How each group's box was halved, if that is asked for. */
  readonly #traces: readonly HalvedBox[];

  constructor(
    readonly engine: Engine,
    readonly options: InputSplittingOptions,
  ) {
    const { polytopes } = options;
    this.#groups = groupsOf(polytopes);
    const rows = this.#groups.reduce((most, group) => Math.max(most, group.rows), 1);
    this.#programs = options.partByPart
      ? new PartByPart(engine, polytopes)
      : new InputPrograms(engine, polytopes, rows, options.memoryBytes);
    this.#traces = options.traced ? this.#groups.map(() => ({})) : [];
    this.#frontier = worstFirst(engine);
  }

  async run(): Promise<SplittingResult> {
    const { most } = this.#programs;
    const wholes = this.#groups.map(({ box, open }, group): Part => {
      const trace = this.#traces[group];
      return { box, whole: box, open, bound: Number.NEGATIVE_INFINITY, next: -1, trace };
    });
    while (this.#begun < wholes.length && !this.#found && !this.engine.expired()) {
      const some = wholes.slice(this.#begun, this.#begun + most);
      this.#frontier.push(await this.#settle(some));
      this.#begun += some.length;
      this.#report();
    }
    await this.#frontier.work(
      most / 2,
      () => this.#found || this.#full(),
      (parts) => this.#settle(parts.flatMap(halves)),
      () => this.#report(),
    );
    return this.#result();
  }

  #result(): SplittingResult {
    const totals = { subproblems: this.#subproblems, lowerBound: this.#lowerBound() };
    const open = (reason: 'time' | 'memory' | 'leaves') => ({ verdict: 'open', ...totals, reason }) as const;
    if (this.#found) return { verdict: 'found', ...totals };
    if (this.#full()) return open('memory');
    if (this.#frontier.length > 0 || this.#begun < this.#groups.length) return open('time');
    if (this.#leafBound < Number.POSITIVE_INFINITY) return open('leaves');
    const traces = this.#traces.map(
      (whole, group): BoxTrace => ({ kind: 'halving', polytopes: this.#groups[group]?.open ?? [], whole }),
    );
    return { verdict: 'proved', ...totals, traces };
  }

  #full(): boolean {
    return this.#frontier.length * (16 * this.#programs.inputs + 200) > this.options.memoryBytes;
  }

  /** −∞ while some box was never bounded. */
  #lowerBound(): number {
    return this.#begun < this.#groups.length
      ? Number.NEGATIVE_INFINITY
      : Math.min(this.#frontier.leastBound(), this.#leafBound);
  }

  #report(): void {
    this.options.progress?.({
      subproblems: this.#subproblems,
      open: this.#frontier.length,
      lowerBound: this.#lowerBound(),
    });
  }

  /** Parts that stay open after their bounds and can be halved further. */
  async #settle(parts: readonly Part[]): Promise<Part[]> {
    const bounded = await this.#programs.bound(parts);
    const left: Part[] = [];
    for (const [j, part] of parts.entries()) {
      const open = await this.#openOn(part, bounded[j] as PartBounds);
      if (open === 'found') {
        this.#subproblems += parts.length;
        this.#found = true;
        return [];
      }
      if (open !== undefined) left.push(open);
    }
    this.#subproblems += parts.length;
    for (const part of left) if (part.next < 0) this.#leafBound = Math.min(this.#leafBound, part.bound);
    return left.filter(({ next }) => next >= 0);
  }

  /** The part with the polytopes that its bounds leave open; undefined where there are none. */
  async #openOn({ box, whole, open, trace }: Part, bounds: PartBounds): Promise<Part | undefined | 'found'> {
    const centre = centreOf(box);
    const stay: number[] = [];
    const scores = new Float64Array(this.#programs.inputs);
    const shares = sharesOfWidth(box, whole);
    let least = Number.POSITIVE_INFINITY;
    let row = 0;
    for (const index of open) {
      const polytope = this.options.polytopes[index] as Polytope;
      const first = row;
      row += polytope.unsafe.length;
      const best = bestMargin(this.engine, polytope, centre, bounds, first);
      // A bound above the value at the centre is none: arithmetic overflowed.
      const value = violation(polytope, centre, bounds.atCentre);
      if (best > 0 && best <= value + proofThreshold(Math.abs(value)) && Number.isFinite(best)) continue;
      stay.push(index);
      least = Math.min(least, best);
      polytope.unsafe.forEach((inequality, r) => {
        raiseScores(scores, shares, {
          margin: bounds.margin(first + r),
          atCentre: linearValue(inequality, centre, bounds.atCentre),
          influence: (i) => bounds.influence(i, first + r),
        });
      });
      if (
        value <= NEARLY * (1 + Math.abs(value)) &&
        (await this.options.found(Float32Array.from(centre), index))
      )
        return 'found';
    }
    if (stay.length === 0) return undefined;
    return {
      box,
      whole,
      open: stay,
      bound: least,
      next: inputToHalve(box, scores, NARROW[this.engine.dtype]),
      trace,
    };
  }
}

/** The best bound of a polytope's inequalities, the first of which is in row `first`, less its allowance. */
function bestMargin(
  engine: Engine,
  { unsafe }: Polytope,
  centre: Float64Array,
  { margin, atCentre, rounding }: PartBounds,
  first: number,
): number {
  let best = Number.NEGATIVE_INFINITY;
  unsafe.forEach((inequality, r) => {
    const value =
      margin(first + r) -
      inequality.bound -
      allowance(engine, sizeOfTerms(inequality, centre, atCentre), inequality, rounding);
    if (value > best) best = value;
  });
  return best;
}

function halves(part: Part): Part[] {
  const { lower, upper } = part.box;
  const middle = ((lower[part.next] as number) + (upper[part.next] as number)) / 2;
  const [below, above] = [upper.slice(), lower.slice()];
  below[part.next] = middle;
  above[part.next] = middle;
  const [first, second]: HalvedBox[] = part.trace ? [{}, {}] : [];
  if (part.trace && first && second) part.trace.halves = { input: part.next, below: first, above: second };
  return [
    { ...part, box: { lower, upper: below }, trace: first },
    { ...part, box: { lower: above, upper }, trace: second },
  ];
}
