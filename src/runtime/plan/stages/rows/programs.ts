/**
 * Programs that do for a rows stage what the host does (`on-host`): which neurons are unstable, which of them
 * each row is, and where its bounds go. A device that runs them has every bound to itself; it tells the host
 * only how many rows there are.
 *
 * The neurons of a member are numbered like the rows that `selectRows` chooses: all channels of one place
 * after another. With m the mask of unstable neurons in that order, the number of those up to each is a
 * prefix sum, and row r is the first neuron that has r + 1 of them up to it.
 */
import {
  add,
  broadcastTo,
  concat,
  constant,
  div,
  gemm,
  greater,
  input,
  maximum,
  minimum,
  mul,
  neg,
  pad,
  range,
  reshape,
  slice,
  sub,
  type Tensor,
  takeRows,
  toFloat,
  toInt,
  transpose,
  where,
} from '../../../../graph/index.js';
import { remembered } from '../../../../graph/remembered.js';
import { programPlan } from '../../single-program.js';
import { gradientName, type Plan } from '../../step.js';
import type { RowsData } from './stage.js';

export interface RowPrograms {
  /** Numbers of `order` for each member: a power of two, so that it can be searched bit by bit. */
  readonly orderSize: number;
  /**
   * From the cheap bounds `lower` and `upper` to the prefix sums `order` [members, orderSize], followed by
   * larger numbers, `count` [members], the row `rank` of each neuron, int32 [members, neurons], −1 where it
   * has none, and the bounds as each member's own.
   */
  readonly select: Plan;
  /**
   * From `order`, `count` and the number `start` of the first row, int32 [1], to `channel`, `place` and
   * `position`, int32 [members, rows].
   */
  indices(rows: number): Plan;
  /**
   * The bounds `lower` and `upper` with those of rows, `row lower` and `row upper`, in their places: `merged
   * lower`, `merged upper`.
   */
  merge(rows: number): Plan;
  /**
   * From cotangents of the bounds to those of rows, `row ∂lower` and `row ∂upper`, 0 where a member has fewer
   * rows.
   */
  pick(rows: number): Plan;
  /** The cotangents of neurons without a row, 0 for others. */
  readonly rest: Plan;
}

/** Neurons whose prefix sums are one product. */
const BLOCK = 256;

/** More than the number of neurons. */
const BEYOND = 2 ** 30;

const triangle = (n: number): Tensor =>
  constant(
    Float32Array.from({ length: n * n }, (_, i) => (Math.floor(i / n) <= i % n ? 1 : 0)),
    [n, n],
  );

/** Σ_{j ≤ i} x_j along the second axis of x [rows, n], by products with a triangle of ones. */
export function prefixSums(x: Tensor): Tensor {
  const [rows, n] = x.shape as [number, number];
  if (n <= BLOCK) return gemm(x, triangle(n));
  const blocks = Math.ceil(n / BLOCK);
  const within = gemm(reshape(pad(x, 1, 0, blocks * BLOCK - n), [rows * blocks, BLOCK]), triangle(BLOCK));
  const totals = reshape(slice(within, 1, BLOCK - 1, BLOCK), [rows, blocks]);
  const before = reshape(sub(prefixSums(totals), totals), [rows * blocks, 1]);
  return slice(reshape(add(within, before), [rows, blocks * BLOCK]), 1, 0, n);
}

const integer = (value: number): Tensor => constant(Int32Array.of(value), [1], 'int32');

/** Numbers of the rows of a program, int32 [rows]. */
const ranks = (rows: number): Tensor => add(range(rows), input('start', [1], 'int32'));

const plansOf = remembered<RowPrograms, Plan>();

/** Where each member's entries begin among those of all, int32 [members, 1]. */
const offsets = (members: number, size: number): Tensor =>
  constant(
    Int32Array.from({ length: members }, (_, m) => m * size),
    [members, 1],
    'int32',
  );

/** Entries of x [members, size], one for each index, int32 [members, n], of that member's. */
function entries(x: Tensor, indices: Tensor): Tensor {
  const [members, size] = x.shape as [number, number];
  const [, n] = indices.shape as [number, number];
  const all = reshape(add(indices, offsets(members, size)), [members * n]);
  return reshape(takeRows(reshape(x, [members * size, 1]), all), [members, n]);
}

/** Programs for a stage; `shared` says which of its cheap bounds are one for all members. */
export const rowPrograms = (id: string, data: RowsData, shared: SharedBounds): RowPrograms =>
  new StagePrograms(id, data, shared);

export interface SharedBounds {
  readonly lower: boolean;
  readonly upper: boolean;
}

class StagePrograms implements RowPrograms {
  readonly orderSize: number;
  readonly #id: string;
  readonly #data: RowsData;
  readonly #shared: SharedBounds;
  readonly #members: number;
  readonly #channels: number;
  readonly #perChannel: number;
  readonly #neurons: number;

  constructor(id: string, data: RowsData, shared: SharedBounds) {
    const { places, shape, members = 1 } = data;
    const [features, batch] = shape;
    this.#id = id;
    this.#data = data;
    this.#shared = shared;
    this.#members = members;
    this.#channels = features / places;
    this.#perChannel = places * batch;
    this.#neurons = features * batch;
    this.orderSize = 2 ** Math.ceil(Math.log2(this.#neurons + 1));
  }

  #plan(name: string, outputs: () => Record<string, Tensor>): Plan {
    return plansOf(this, name, () => ({ ...programPlan(outputs()), id: `${this.#id} ${name}` }));
  }

  /** An input of every member's neurons. */
  #input(name: string, dtype: 'float32' | 'int32' = 'float32'): Tensor {
    return input(name, [this.#members, this.#neurons], dtype);
  }

  /** Whether a row is one of the member's. */
  #exists(rows: number): Tensor {
    return greater(input('count', [this.#members, 1]), toFloat(ranks(rows)));
  }

  /** A cheap bound with the axis of members. */
  #cheap(name: 'lower' | 'upper'): Tensor {
    if (!this.#shared[name]) return this.#input(name);
    const bound = reshape(input(name, [this.#neurons]), [1, this.#neurons]);
    return broadcastTo(bound, [this.#members, this.#neurons]);
  }

  /** Neurons [members, a · b] with the two axes exchanged: places before channels, or back. */
  #turned(x: Tensor, a: number, b: number): Tensor {
    const parts = transpose(reshape(x, [this.#members, a, b]), [0, 2, 1]);
    return reshape(parts, [this.#members, this.#neurons]);
  }

  get select(): Plan {
    return this.#plan('select', () => {
      const [members, neurons] = [this.#members, this.#neurons];
      const [lower, upper] = [this.#cheap('lower'), this.#cheap('upper')];
      const [one, zero] = [1, 0].map((value) => constant(value, [1, 1])) as [Tensor, Tensor];
      const isUnstable = this.#data.all
        ? broadcastTo(one, [members, neurons])
        : where(greater(neg(lower), 0), where(greater(upper, 0), one, zero), zero);
      const order = prefixSums(this.#turned(isUnstable, this.#channels, this.#perChannel));
      const back = this.#turned(order, this.#perChannel, this.#channels);
      const rank = toInt(sub(mul(back, isUnstable), 1));
      const beyond = broadcastTo(constant(BEYOND, [1, 1]), [members, this.orderSize - neurons]);
      return {
        order: concat([order, beyond], 1),
        rank,
        count: slice(order, 1, neurons - 1, neurons),
        ...(this.#shared.lower ? { 'own lower': lower } : {}),
        ...(this.#shared.upper ? { 'own upper': upper } : {}),
      };
    });
  }

  indices(rows: number): Plan {
    return this.#plan(`indices ${rows}`, () => {
      const [members, orderSize] = [this.#members, this.orderSize];
      const order = input('order', [members * orderSize, 1]);
      const wanted = add(toFloat(ranks(rows)), 0.5);
      // The last neuron that has at most r unstable ones up to it, bit by bit from the highest; at first
      // the one before all.
      const none = broadcastTo(sub(offsets(members, orderSize), integer(1)), [members, rows]);
      let before = none;
      for (let bit = orderSize / 2; bit >= 1; bit /= 2) {
        const further = add(before, integer(bit));
        const seen = takeRows(order, reshape(further, [members * rows]));
        before = where(greater(wanted, reshape(seen, [members, rows])), further, before);
      }
      const at = where(this.#exists(rows), sub(before, none), integer(0));
      const place = div(at, integer(this.#channels));
      const channel = sub(at, mul(place, integer(this.#channels)));
      return { channel, place, position: add(mul(channel, integer(this.#perChannel)), place) };
    });
  }

  merge(rows: number): Plan {
    return this.#plan(`merge ${rows}`, () => {
      const row = sub(this.#input('rank', 'int32'), input('start', [1], 'int32'));
      const index = minimum(maximum(row, integer(0)), integer(rows - 1));
      const merged = (name: string) => {
        const old = this.#input(name);
        const taken = entries(input(`row ${name}`, [this.#members, rows]), index);
        return where(greater(row, integer(-1)), where(greater(integer(rows), row), taken, old), old);
      };
      return { 'merged lower': merged('lower'), 'merged upper': merged('upper') };
    });
  }

  pick(rows: number): Plan {
    return this.#plan(`pick ${rows}`, () => {
      const position = input('position', [this.#members, rows], 'int32');
      const picked = (name: string) => {
        const taken = entries(this.#input(gradientName(name)), position);
        return where(this.#exists(rows), taken, 0);
      };
      return { 'row ∂lower': picked('lower'), 'row ∂upper': picked('upper') };
    });
  }

  get rest(): Plan {
    return this.#plan('rest', () => {
      const has = greater(this.#input('rank', 'int32'), integer(-1));
      const left = (name: string) => where(has, 0, this.#input(gradientName(name)));
      return { 'left ∂lower': left('lower'), 'left ∂upper': left('upper') };
    });
  }
}
