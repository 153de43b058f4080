/** Rows as a graph carries them: coefficients and constants of both bounds of each, and their ReLUs. */
import { abs, add, maximum, minimum, mul, sub, sum, type Tensor, takeRows } from '../../graph/index.js';

/**
 * Coefficients of each row, [rows, region size]: middle + spread of its lower bound, middle − spread of its
 * upper bound (affine layers carry both alike), and the constants of the two bounds, [rows, 1].
 */
export interface RowState {
  readonly middle: Tensor;
  /** Undefined for zero: before the first ReLU both bounds have the same coefficients. */
  readonly spread: Tensor | undefined;
  /** |middle| where it is at hand. */
  readonly magnitude: Tensor | undefined;
  readonly lowerOffset: Tensor;
  readonly upperOffset: Tensor;
  /** The best bounds on the way, [rows, 1], where rows are bounded there. */
  readonly best?: { readonly lower: Tensor; readonly upper: Tensor };
}

/** Tables of a ReLU by (place, image): S, D where the lines differ in slope, and μ/2. */
export interface ReluTables {
  readonly middles: Tensor;
  readonly halves: Tensor | undefined;
  readonly intercepts: Tensor | undefined;
}

export const rowSum = (x: Tensor): Tensor => sum(x, [1]);

export const ends = ({ middle, spread }: RowState): { lower: Tensor; upper: Tensor } =>
  spread === undefined
    ? { lower: middle, upper: middle }
    : { lower: add(middle, spread), upper: sub(middle, spread) };

/** Adds a linear function of the coefficients to both constants. */
export function withConstants(rows: RowState, value: (coefficients: Tensor) => Tensor): RowState {
  const middle = value(rows.middle);
  if (rows.spread === undefined)
    return {
      ...rows,
      lowerOffset: add(rows.lowerOffset, middle),
      upperOffset: add(rows.upperOffset, middle),
    };
  const spread = value(rows.spread);
  return {
    ...rows,
    lowerOffset: add(rows.lowerOffset, add(middle, spread)),
    upperOffset: add(rows.upperOffset, sub(middle, spread)),
  };
}

/** A ReLU where both bounds have the coefficients a: S∘a ± D∘|a|. */
export function passFirstRelu(rows: RowState, place: Tensor, { middles, halves }: ReluTables): RowState {
  const middle = mul(rows.middle, takeRows(middles, place));
  const spread = halves && mul(rows.magnitude ?? abs(rows.middle), takeRows(halves, place));
  return { ...rows, middle, spread, magnitude: undefined };
}

/** A ReLU further on: lower ← S∘l + D∘|l|, upper ← S∘u − D∘|u|; l⁻·μ and u⁺·μ join the constants. */
export function passRelu(rows: RowState, place: Tensor, tables: ReluTables): RowState {
  const { middles, halves, intercepts } = tables;
  const intercept = intercepts && takeRows(intercepts, place);
  if (rows.spread === undefined) {
    const magnitude = rows.magnitude ?? abs(rows.middle);
    const counted = intercept && {
      lowerOffset: add(rows.lowerOffset, rowSum(mul(sub(rows.middle, magnitude), intercept))),
      upperOffset: add(rows.upperOffset, rowSum(mul(add(rows.middle, magnitude), intercept))),
    };
    return passFirstRelu({ ...rows, magnitude, ...counted }, place, tables);
  }
  const { lower, upper } = ends(rows);
  const [low, high] = [abs(lower), abs(upper)];
  const scale = takeRows(middles, place);
  const half = mul(takeRows(halves as Tensor, place), 0.5);
  const shift = intercept as Tensor;
  return {
    ...rows,
    middle: add(mul(scale, rows.middle), mul(half, sub(low, high))),
    spread: add(mul(scale, rows.spread), mul(half, add(low, high))),
    magnitude: undefined,
    lowerOffset: add(rows.lowerOffset, rowSum(mul(sub(lower, low), shift))),
    upperOffset: add(rows.upperOffset, rowSum(mul(add(upper, high), shift))),
  };
}

/** The bounds of rows over a box of what they are coefficients of, and the best on the way; [rows, 1]. */
export function boundRows(
  rows: RowState,
  centre: Tensor | undefined,
  radius: Tensor,
): { lower: Tensor; upper: Tensor } {
  const counted = centre ? withConstants(rows, (a) => rowSum(mul(a, centre))) : rows;
  const { lower, upper } = ends(rows);
  const here = {
    lower: sub(counted.lowerOffset, rowSum(mul(abs(lower), radius))),
    upper: add(counted.upperOffset, rowSum(mul(abs(upper), radius))),
  };
  if (rows.best === undefined) return here;
  return {
    lower: maximum(rows.best.lower, here.lower),
    upper: minimum(rows.best.upper, here.upper),
  };
}
