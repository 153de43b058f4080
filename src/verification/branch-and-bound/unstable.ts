/**
 * The ReLUs whose sign bounds leave open. Only they have multipliers, so programs keep those of a node as
 * rows of their own, [capacity, n], instead of one for each of its neurons: capacities are rounded up, so
 * that boxes with about as many share programs.
 */
import type { Network } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import { type Engine, floats, type HiddenBounds } from './engine.js';
import { nodeArray } from './relu-lines.js';

export interface UnstableRelus {
  readonly count: number;
  /** Node, neuron and row in its node's arrays, of each. */
  readonly node: Int32Array;
  readonly neuron: Int32Array;
  readonly row: Int32Array;
  /** Rows of each ReLU node's arrays. */
  readonly capacity: Readonly<Record<number, number>>;
  /**
   * Where programs find them: `index:k` int32 [capacity], the neuron of each row; `map:k` int32 [features],
   * the row of each neuron, or `capacity`; `live:k` [capacity, 1].
   */
  readonly feeds: Feeds;
}

/** 8, 12, 16, 24, 32, 48, …: the first that is not below count, or all neurons where that is hardly less. */
function capacityFor(count: number, features: number): number {
  let capacity = 8;
  while (capacity < count) capacity = capacity % 3 === 0 ? (capacity / 3) * 4 : (capacity / 2) * 3;
  return Math.min(capacity, features);
}

/** Of the given nodes, those that are ReLUs. */
export function unstableRelus(
  engine: Pick<Engine, 'dtype'>,
  { nodes }: Network,
  hidden: HiddenBounds,
  of: Iterable<number> = hidden.keys(),
): UnstableRelus {
  const [node, neuron, row]: [number[], number[], number[]] = [[], [], []];
  const capacity: Record<number, number> = {};
  const feeds: Record<string, Feeds[string]> = {};
  for (const k of of) {
    const ends = hidden.get(k);
    if (ends === undefined || nodes[k]?.layer.kind !== 'relu') continue;
    const own: number[] = [];
    ends.lower.forEach((l, i) => {
      if (l < 0 && (ends.upper[i] as number) > 0) own.push(i);
    });
    const rows = capacityFor(own.length, ends.lower.length);
    capacity[k] = rows;
    const map = new Int32Array(ends.lower.length).fill(rows);
    own.forEach((i, at) => {
      node.push(k);
      neuron.push(i);
      row.push(at);
      map[i] = at;
    });
    feeds[nodeArray('index', k)] = Int32Array.from({ length: rows }, (_, at) => own[at] ?? 0);
    feeds[nodeArray('map', k)] = map;
    feeds[nodeArray('live', k)] = floats(engine, rows).fill(1, 0, own.length);
  }
  return {
    count: node.length,
    node: Int32Array.from(node),
    neuron: Int32Array.from(neuron),
    row: Int32Array.from(row),
    capacity,
    feeds,
  };
}
