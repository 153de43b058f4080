/**
 * What the host does for a rows stage (`rows`), as programs: which neurons are unstable, which of them each
 * row is, and where its bounds go. A device that runs them has every bound to itself; what it tells the host
 * is how many rows there are.
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
} from '../../graph/index.js';
import type { DeviceArray } from '../device/array.js';
import { gradientName, type Plan, programPlan, type RowsData } from '../plan/plan.js';

/**
 * Prefix sums of so many ones are exact in float32; places in the sums of all members, twice as many as
 * neurons at most, fit int32.
 */
const [MOST_NEURONS, MOST_OF_ALL] = [2 ** 24, 2 ** 30];

/** Whether rows of the stage can be chosen by programs. */
export const choosesThere = ({ dtype, shape: [features, batch], members = 1 }: RowsData): boolean =>
  dtype === 'float32' && features * batch <= MOST_NEURONS && members * features * batch < MOST_OF_ALL;

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
  /** What is left of the cotangents for neurons without a row. */
  readonly rest: Plan;
}

/** The rows that a stage chose in a run of its plan. */
export interface ChosenRows {
  readonly programs: RowPrograms;
  readonly rank: DeviceArray;
  readonly order: DeviceArray;
  /** Rows of each member. */
  readonly count: Float32Array;
}

/** Neurons whose prefix sums are one product. */
const BLOCK = 256;

/** More than there can be neurons. */
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
export function rowPrograms(
  id: string,
  data: RowsData,
  shared: { readonly lower: boolean; readonly upper: boolean },
): RowPrograms {
  const { places, shape, all = false, members = 1 } = data;
  const [features, batch] = shape;
  const [channels, perChannel, neurons] = [features / places, places * batch, features * batch];
  const orderSize = 2 ** Math.ceil(Math.log2(neurons + 1));
  const plans = new Map<string, Plan>();
  const plan = (name: string, outputs: () => Record<string, Tensor>): Plan => {
    const made = plans.get(name) ?? { ...programPlan(outputs()), id: `${id} ${name}` };
    plans.set(name, made);
    return made;
  };
  const own = (name: string, dtype: 'float32' | 'int32' = 'float32') =>
    input(name, [members, neurons], dtype);
  const count = () => input('count', [members, 1]);
  const ranks = (rows: number) => add(range(rows), input('start', [1], 'int32'));
  /** Whether a row is one of the member's. */
  const exists = (rows: number) => greater(count(), toFloat(ranks(rows)));

  return {
    orderSize,
    get select() {
      return plan('select', () => {
        const cheap = (name: 'lower' | 'upper') =>
          shared[name]
            ? broadcastTo(reshape(input(name, [neurons]), [1, neurons]), [members, neurons])
            : own(name);
        const [lower, upper] = [cheap('lower'), cheap('upper')];
        const [one, zero] = [1, 0].map((value) => constant(value, [1, 1])) as [Tensor, Tensor];
        const isUnstable = all
          ? broadcastTo(one, [members, neurons])
          : where(greater(neg(lower), 0), where(greater(upper, 0), one, zero), zero);
        const turned = reshape(transpose(reshape(isUnstable, [members, channels, perChannel]), [0, 2, 1]), [
          members,
          neurons,
        ]);
        const order = prefixSums(turned);
        const back = reshape(transpose(reshape(order, [members, perChannel, channels]), [0, 2, 1]), [
          members,
          neurons,
        ]);
        const rank = toInt(sub(mul(back, isUnstable), 1));
        return {
          order: concat([order, broadcastTo(constant(BEYOND, [1, 1]), [members, orderSize - neurons])], 1),
          rank,
          count: slice(order, 1, neurons - 1, neurons),
          ...(shared.lower ? { 'own lower': lower } : {}),
          ...(shared.upper ? { 'own upper': upper } : {}),
        };
      });
    },
    indices: (rows) =>
      plan(`indices ${rows}`, () => {
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
        const at = where(exists(rows), sub(before, none), integer(0));
        const place = div(at, integer(channels));
        const channel = sub(at, mul(place, integer(channels)));
        return { channel, place, position: add(mul(channel, integer(perChannel)), place) };
      }),
    merge: (rows) =>
      plan(`merge ${rows}`, () => {
        const row = sub(own('rank', 'int32'), input('start', [1], 'int32'));
        const index = minimum(maximum(row, integer(0)), integer(rows - 1));
        const merged = (name: string) => {
          const old = own(name);
          const taken = entries(input(`row ${name}`, [members, rows]), index);
          return where(greater(row, integer(-1)), where(greater(integer(rows), row), taken, old), old);
        };
        return { 'merged lower': merged('lower'), 'merged upper': merged('upper') };
      }),
    pick: (rows) =>
      plan(`pick ${rows}`, () => {
        const position = input('position', [members, rows], 'int32');
        const picked = (name: string) => {
          const taken = entries(own(gradientName(name)), position);
          return where(exists(rows), taken, 0);
        };
        return { 'row ∂lower': picked('lower'), 'row ∂upper': picked('upper') };
      }),
    get rest() {
      return plan('rest', () => {
        const has = greater(own('rank', 'int32'), integer(-1));
        const left = (name: string) => where(has, 0, own(gradientName(name)));
        return { 'left ∂lower': left('lower'), 'left ∂upper': left('upper') };
      });
    },
  };
}
