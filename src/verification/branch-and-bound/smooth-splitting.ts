/**
 * Branch and bound on what smooth activations read: z ∈ [l, u] of one neuron is halved, in one child to
 * [l, m], in the other to [m, u].
 *
 * A part of the box is what its intervals leave of it. Lines of a halved neuron are tighter, and so are the
 * bounds of the neurons that read it, which are computed anew from them; both hold at every input of the
 * part, and the halves together are the whole. That inputs are of the part is told by multipliers of the
 * intervals' ends, as β-CROWN's of decided ReLUs. The neuron to halve is the one whose lines cost the row's
 * bound the most. Worst bounds first.
 */

import { dualOf } from './dual-program.js';
import type { Ends, Engine, Floats, Goal, HiddenBounds } from './engine.js';
import { floats } from './engine.js';
import { createHiddenBounding, type HiddenBounding, regionFeeds } from './hidden-bounds.js';
import type { SplittingResult } from './input-splitting.js';
import { nodeArray } from './relu-lines.js';
import { unstableRelus } from './unstable.js';
import { type Frontier, worstFirst } from './worst-first.js';

export interface SmoothSplittingOptions {
  readonly box: Ends;
  readonly hidden: HiddenBounds;
  readonly goals: readonly Goal[];
  /** Bytes that the open parts may take. */
  readonly memoryBytes: number;
  /** Called with the input at which a part's linear bound is least. True ends the search. */
  readonly found: (point: Float32Array, goal: number) => Promise<boolean>;
  readonly progress?: (state: { readonly subproblems: number; readonly lowerBound: number }) => void;
}

/** A part of the box, and the neuron that is halved next. */
interface Part {
  readonly goal: number;
  readonly hidden: HiddenBounds;
  /** Lower bound of the goal's row minus its threshold. */
  readonly bound: number;
  /** Undefined where no interval can be halved. */
  readonly next: { readonly node: number; readonly neuron: number } | undefined;
}

/** Columns of the program for one row, and steps of its ascent. */
const COLUMNS = 8;
const ITERATIONS = 10;

/** Splits one box until every goal is proved, a counterexample is found, or time or memory end. */
export const splitSmooth = (engine: Engine, options: SmoothSplittingOptions): Promise<SplittingResult> =>
  new SmoothSplitting(engine, options).run();

class SmoothSplitting {
  readonly #bounding: HiddenBounding;
  readonly #frontier: Frontier<Part>;
  readonly #bytes: number;
  #subproblems = 0;
  #begun = 0;
  #leaves = 0;
  #leafBound = Number.POSITIVE_INFINITY;
  #found = false;

  constructor(
    readonly engine: Engine,
    readonly options: SmoothSplittingOptions,
  ) {
    this.#bounding = createHiddenBounding(engine);
    this.#frontier = worstFirst(engine);
    this.#bytes = [...options.hidden.values()].reduce(
      (sum, { lower, upper }) => sum + lower.byteLength + upper.byteLength,
      0,
    );
  }

  async run(): Promise<SplittingResult> {
    const { goals, hidden } = this.options;
    for (const goal of goals.keys()) {
      if (this.#found || this.engine.expired()) break;
      this.#frontier.push(await this.#settle(goal, hidden));
      this.#begun++;
    }
    await this.#frontier.work(
      1,
      () => this.#found || this.#full(),
      async (parents) => {
        const open: Part[] = [];
        for (const parent of parents) open.push(...(await this.#halves(parent)));
        return open;
      },
      () => this.#report(),
    );
    const totals = { subproblems: this.#subproblems, lowerBound: this.#lowerBound() };
    if (this.#found) return { verdict: 'found', ...totals };
    if (this.#full()) return { verdict: 'open', ...totals, reason: 'memory' };
    if (this.#frontier.length > 0 || this.#begun < goals.length)
      return { verdict: 'open', ...totals, reason: 'time' };
    return this.#leaves > 0
      ? { verdict: 'open', ...totals, reason: 'leaves' }
      : { verdict: 'proved', ...totals };
  }

  #full(): boolean {
    return this.#frontier.length * this.#bytes > this.options.memoryBytes;
  }

  #lowerBound(): number {
    return this.#begun < this.options.goals.length
      ? Number.NEGATIVE_INFINITY
      : Math.min(0, this.#frontier.leastBound(), this.#leafBound);
  }

  #report(): void {
    this.options.progress?.({ subproblems: this.#subproblems, lowerBound: this.#lowerBound() });
  }

  /** What stays open of the two halves of a part. */
  async #halves({ goal, hidden, next, bound }: Part): Promise<Part[]> {
    if (next === undefined) {
      this.#leaves++;
      this.#leafBound = Math.min(this.#leafBound, bound);
      return [];
    }
    const { lower, upper } = hidden.get(next.node) as Ends;
    const middle = middleOf(lower, upper, next.neuron);
    const halves = [
      { lower, upper: replaced(upper, next.neuron, middle) },
      { lower: replaced(lower, next.neuron, middle), upper },
    ];
    const open: Part[] = [];
    for (const half of halves) {
      if (this.#found) break;
      const known = new Map(hidden).set(next.node, half);
      // What the time does not suffice for stays open, with the bounds that are known.
      const changed = next.node;
      const tight = await this.#bounding.bound(this.options.box, { iterations: 0, known, changed });
      open.push(...(await this.#settle(goal, tight)));
    }
    return open;
  }

  /** The part, if its bound leaves it open. */
  async #settle(goal: number, hidden: HiddenBounds): Promise<Part[]> {
    this.#subproblems++;
    const { bound, point, outputs } = await this.#boundOf(this.options.goals[goal] as Goal, hidden);
    if (bound > 0) return [];
    if (await this.options.found(point, goal)) {
      this.#found = true;
      return [];
    }
    return [{ goal, hidden, bound, next: this.#costliest(hidden, outputs) }];
  }

  /** α-CROWN on the goal's row. */
  async #boundOf({ coefficients, inputs, threshold }: Goal, hidden: HiddenBounds) {
    const { engine } = this;
    const { network: net } = engine;
    const features = this.options.box.lower.length;
    const unstable = unstableRelus(engine, net, hidden);
    const plan = dualOf(engine, {
      ...{ target: net.nodes.length - 1, columns: COLUMNS, iterations: ITERATIONS, start: 'rows' },
      ...{ scores: true, halved: true, inputRows: inputs !== undefined, unstable: unstable.capacity },
    });
    const everyColumn = (row: Float64Array, size: number) =>
      floats(engine, size * COLUMNS).map((_, at) => row[Math.floor(at / COLUMNS)] as number);
    const outputs = await engine.run(plan, {
      ...regionFeeds(this.options.box, hidden),
      ...unstable.feeds,
      rows: everyColumn(coefficients, net.classes),
      threshold: floats(engine, COLUMNS).fill(threshold),
      ...(inputs && { 'input rows': everyColumn(inputs, features) }),
    });
    const value = ((outputs.bound as Floats)[0] as number) - threshold;
    const at = outputs.point as Floats;
    return {
      // What overflowed proves nothing.
      bound: Number.isFinite(value) ? value : Number.NEGATIVE_INFINITY,
      point: Float32Array.from({ length: features }, (_, i) => at[i * COLUMNS] as number),
      outputs,
    };
  }

  /** The neuron whose lines cost the most. */
  #costliest(hidden: HiddenBounds, outputs: Readonly<Record<string, unknown>>): Part['next'] {
    let [most, next]: [number, Part['next']] = [0, undefined];
    for (const [node, { lower, upper }] of hidden) {
      if (this.engine.network.nodes[node]?.layer.kind !== 'activation') continue;
      const scores = outputs[nodeArray('score', node)] as Floats;
      for (let neuron = 0; neuron < lower.length; neuron++) {
        const score = scores[neuron * COLUMNS] as number;
        const middle = middleOf(lower, upper, neuron);
        const divides = middle > (lower[neuron] as number) && middle < (upper[neuron] as number);
        if (divides && score > most) [most, next] = [score, { node, neuron }];
      }
    }
    return next;
  }
}

/** The middle of a neuron's interval, in the arithmetic of its ends. */
function middleOf(lower: Floats, upper: Floats, neuron: number): number {
  const middle = ((lower[neuron] as number) + (upper[neuron] as number)) / 2;
  return lower instanceof Float32Array ? Math.fround(middle) : middle;
}

function replaced(ends: Floats, neuron: number, end: number): Floats {
  const copy = ends.slice();
  copy[neuron] = end;
  return copy;
}
