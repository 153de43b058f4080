/**
 * Parts of a box by decided ReLUs as a program's arrays, and back: p and signs of each node's unstable
 * neurons are [columns, rows], so that the numbers of one part lie together.
 */
import { type Engine, type Floats, floats } from './engine.js';
import { nodeArray } from './relu-lines.js';
import type { UnstableRelus } from './unstable.js';

export type Outputs = Readonly<Record<string, Floats>>;

/** The unstable neurons of a node, by number from … from + count, in the first of its arrays' rows. */
export interface Segment {
  readonly node: number;
  readonly from: number;
  readonly count: number;
  readonly rows: number;
}

export const segmentsOf = ({ node: nodes, capacity }: UnstableRelus): Segment[] =>
  Object.entries(capacity).map(([key, rows]) => {
    const node = Number(key);
    return { node, from: nodes.indexOf(node), count: nodes.filter((k) => k === node).length, rows };
  });

/** What a part is bounded with. */
export interface Multipliers {
  /** Decided ReLUs by their number among the unstable ones: i for z ≥ 0, ~i for z ≤ 0. */
  readonly decisions: readonly number[];
  /** α of the unstable ReLUs in 255ths. */
  readonly alpha: Uint8Array;
  /** β of the decisions. */
  readonly beta: readonly number[];
}

/** The number of the ReLU that is decided. */
export const decidedBy = (decision: number): number => (decision < 0 ? ~decision : decision);

/** Calls `each` with the row of every decision about one of a segment's neurons. */
function decisionsIn(
  { from, count }: Segment,
  decisions: readonly number[],
  each: (row: number, d: number) => void,
): void {
  decisions.forEach((decision, d) => {
    const row = decidedBy(decision) - from;
    if (row >= 0 && row < count) each(row, d);
  });
}

/** `p:k` and `sign:k` of all nodes; zero in columns beyond the parts. */
export function multiplierFeeds(
  engine: Pick<Engine, 'dtype'>,
  segments: readonly Segment[],
  columns: number,
  parts: readonly Multipliers[],
): Record<string, Floats> {
  const feeds: Record<string, Floats> = {};
  for (const segment of segments) {
    const { node, from, count, rows } = segment;
    const p = floats(engine, rows * columns);
    const sign = floats(engine, rows * columns);
    parts.forEach(({ alpha, beta, decisions }, j) => {
      const at = j * rows;
      for (let r = 0; r < count; r++) p[at + r] = (alpha[from + r] as number) / 255;
      decisionsIn(segment, decisions, (row, d) => {
        p[at + row] = beta[d] as number;
        sign[at + row] = (decisions[d] as number) < 0 ? -1 : 1;
      });
    });
    feeds[nodeArray('p', node)] = p;
    feeds[nodeArray('sign', node)] = sign;
  }
  return feeds;
}

/** What column j of an ascent came to. */
export function multipliersAt(
  segments: readonly Segment[],
  outputs: Outputs,
  j: number,
  decisions: readonly number[],
): Pick<Multipliers, 'alpha' | 'beta'> {
  const alpha = new Uint8Array(segments.reduce((sum, { count }) => sum + count, 0));
  const beta = new Array<number>(decisions.length).fill(0);
  for (const segment of segments) {
    const { node, from, count, rows } = segment;
    const p = outputs[nodeArray('p', node)] as Floats;
    const at = j * rows;
    for (let r = 0; r < count; r++) alpha[from + r] = Math.round(255 * Math.min(1, p[at + r] as number));
    decisionsIn(segment, decisions, (row, d) => {
      beta[d] = p[at + row] as number;
    });
  }
  return { alpha, beta };
}

/** The `most` undecided ReLUs of greatest score in column j, the greatest first. */
export function bestAt(
  what: 'score' | 'gap',
  segments: readonly Segment[],
  outputs: Outputs,
  j: number,
  decided: ReadonlySet<number>,
  most: number,
): number[] {
  const found: { index: number; value: number }[] = [];
  for (const { node, from, count, rows } of segments) {
    const values = outputs[nodeArray(what, node)] as Floats;
    const at = j * rows;
    for (let r = 0; r < count; r++) {
      const value = values[at + r] as number;
      if (found.length === most && value <= (found[most - 1] as { value: number }).value) continue;
      if (decided.has(from + r)) continue;
      found.push({ index: from + r, value });
      found.sort((a, b) => b.value - a.value);
      if (found.length > most) found.pop();
    }
  }
  return found.map(({ index }) => index);
}

/** What trials decide, as `trial:k` and `trial side`; columns beyond them decide nothing. */
export function trialFeeds(
  engine: Pick<Engine, 'dtype'>,
  segments: readonly Segment[],
  columns: number,
  decisions: readonly number[],
): Record<string, Floats | Int32Array> {
  const side = floats(engine, columns);
  decisions.forEach((decision, t) => {
    side[t] = decision < 0 ? -1 : 1;
  });
  const feeds: Record<string, Floats | Int32Array> = { 'trial side': side };
  for (const segment of segments) {
    const rows = new Int32Array(columns).fill(-1);
    decisionsIn(segment, decisions, (row, t) => {
      rows[t] = row;
    });
    feeds[nodeArray('trial', segment.node)] = rows;
  }
  return feeds;
}
