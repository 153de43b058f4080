/** Which neurons a rows stage runs programs for, and in what order. */
import type { HostData } from '../../../../graph/tensor.js';
import type { Floats } from '../../run.js';
import type { RowsData, RowsProgram } from './stage.js';

/** An array of `size` numbers, all members': one that they share is repeated. */
export function ofMembers<T extends HostData>(shared: T, size: number): T {
  if (shared.length === size) return shared;
  const all = new (shared.constructor as new (length: number) => T)(size);
  for (let start = 0; start < size; start += shared.length) all.set(shared as never, start);
  return all;
}

/**
 * For each member the flat positions (feature · batch + image) of the neurons that get a row, all channels of
 * one place of one image after another: neighbouring rows then share what they read of the layers behind.
 */
export function selectRows(
  lower: Floats,
  upper: Floats,
  { all, places, shape: [features, batch], members = 1 }: RowsData,
): Int32Array[] {
  const size = features * batch;
  const perChannel = places * batch;
  const chosen = new Int32Array(size);
  return Array.from({ length: members }, (_, member) => {
    const base = member * size;
    let count = 0;
    for (let place = 0; place < perChannel; place++)
      for (let at = place; at < size; at += perChannel)
        if (all || ((lower[base + at] as number) < 0 && (upper[base + at] as number) > 0))
          chosen[count++] = at;
    return chosen.slice(0, count);
  });
}

export interface RowIndices {
  readonly channel: Int32Array;
  readonly place: Int32Array;
  readonly position: Int32Array;
  /** Where each row's bound lies among those of all members' neurons, and its place in the program. */
  readonly from: Int32Array;
  readonly to: Int32Array;
}

/**
 * Rows start … start + rows of every member's selection, [members, rows]; a member with fewer repeats neuron
 * 0 of image 0 in what is left.
 */
export function rowIndices(
  selection: readonly Int32Array[],
  start: number,
  rows: number,
  { places, shape: [features, batch] }: RowsData,
): RowIndices {
  const perChannel = places * batch;
  const [channel, place, position] = [0, 1, 2].map(() => new Int32Array(selection.length * rows)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const used = selection.map(({ length }) => Math.max(0, Math.min(rows, length - start)));
  const total = used.reduce((a, b) => a + b, 0);
  const [from, to] = [new Int32Array(total), new Int32Array(total)];
  let k = 0;
  selection.forEach((chosen, member) => {
    for (let i = 0; i < (used[member] as number); i++, k++) {
      const at = chosen[start + i] as number;
      const row = member * rows + i;
      const ofChannel = Math.floor(at / perChannel);
      from[k] = member * features * batch + at;
      to[k] = row;
      position[row] = at;
      channel[row] = ofChannel;
      place[row] = at - ofChannel * perChannel;
    }
  });
  return { channel, place, position, from, to };
}

/** Rows start … start + rows, and their program. */
export interface Chunk extends RowsProgram {
  readonly start: number;
}

/** What starting a program costs, in rows: on the host, and on a device, which computes thousands at once. */
const START_ROWS = { host: 64, device: 1 << 14 } as const;

/**
 * Splits `count` rows into runs of the programs at hand, ascending: the largest while it is full, then what
 * costs the rest least, one program that holds it or smaller ones in turn.
 */
export function chunks(
  count: number,
  programs: readonly RowsProgram[],
  on: keyof typeof START_ROWS = 'host',
): Chunk[] {
  const largest = programs.at(-1);
  if (largest === undefined) throw new Error('plan: a rows stage needs at least one program');
  const result: Chunk[] = [];
  for (let start = 0; start < count; ) {
    const rest = count - start;
    const cost = ({ rows }: RowsProgram) => Math.ceil(rest / rows) * (rows + START_ROWS[on]);
    const choice =
      rest >= largest.rows
        ? largest
        : programs.reduce((best, other) => (cost(other) < cost(best) ? other : best));
    result.push({ start, ...choice });
    start += Math.min(rest, choice.rows);
  }
  return result;
}
