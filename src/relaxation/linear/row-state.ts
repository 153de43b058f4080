/** Rows as a graph carries them: coefficients and constants of both bounds of each, and their ReLUs. */
import {
  abs,
  add,
  addAll,
  maximum,
  minimum,
  mul,
  sub,
  sum,
  type Tensor,
  takeRows,
} from '../../graph/index.js';
import type { Banded } from './bands.js';

/**
 * Coefficients of each row, band by band: middle + spread of its lower bound, middle − spread of its upper
 * bound (affine layers carry both alike), and the constants of the two bounds, [rows, 1].
 */
export interface RowState {
  readonly middle: Banded;
  /** Undefined for zero: before the first ReLU both bounds have the same coefficients. */
  readonly spread: Banded | undefined;
  /** |middle| where it is at hand. */
  readonly magnitude: Banded | undefined;
  readonly lowerOffset: Tensor;
  readonly upperOffset: Tensor;
  /** The best bounds on the way, [rows, 1], where rows are bounded there. */
  readonly best?: { readonly lower: Tensor; readonly upper: Tensor };
}

/** Tables of a ReLU by (place, image), in its rows' bands: S, D where the lines differ in slope, and μ/2. */
export interface ReluTables {
  readonly middles: Banded;
  readonly halves: Banded | undefined;
  readonly intercepts: Banded | undefined;
}

/** What an operation gives for each band. */
const byBand = (operation: (a: Tensor, b: Tensor) => Tensor, a: Banded, b: Banded): Banded =>
  a.map((band, i) => operation(band, b[i] as Tensor));
const absolute = (rows: Banded): Banded => rows.map(abs);

/** The lines of tables that rows at these places see. */
export const takeLines = (tables: Banded, place: Tensor): Banded =>
  tables.map((table) => takeRows(table, place));

/** Σ a∘b of each row, [rows, 1]. */
export const rowProducts = (a: Banded, b: Banded): Tensor =>
  addAll(byBand(mul, a, b).map((product) => sum(product, [1])));

/** Coefficients of the lower and of the upper bounds. */
export const ends = ({ middle, spread }: RowState): { lower: Banded; upper: Banded } =>
  spread === undefined
    ? { lower: middle, upper: middle }
    : { lower: byBand(add, middle, spread), upper: byBand(sub, middle, spread) };

/** Adds a linear function of the coefficients to both constants. */
export function withConstants(rows: RowState, value: (coefficients: Banded) => Tensor): RowState {
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
  const middle = byBand(mul, rows.middle, takeLines(middles, place));
  const spread = halves && byBand(mul, rows.magnitude ?? absolute(rows.middle), takeLines(halves, place));
  return { ...rows, middle, spread, magnitude: undefined };
}

/** A ReLU further on: lower ← S∘l + D∘|l|, upper ← S∘u − D∘|u|; l⁻·μ and u⁺·μ join the constants. */
export function passRelu(rows: RowState, place: Tensor, tables: ReluTables): RowState {
  const { middles, halves, intercepts } = tables;
  const intercept = intercepts && takeLines(intercepts, place);
  if (rows.spread === undefined) {
    const magnitude = rows.magnitude ?? absolute(rows.middle);
    const counted = intercept && {
      lowerOffset: add(rows.lowerOffset, rowProducts(byBand(sub, rows.middle, magnitude), intercept)),
      upperOffset: add(rows.upperOffset, rowProducts(byBand(add, rows.middle, magnitude), intercept)),
    };
    return passFirstRelu({ ...rows, magnitude, ...counted }, place, tables);
  }
  const { lower, upper } = ends(rows);
  const [low, high] = [absolute(lower), absolute(upper)];
  const scale = takeLines(middles, place);
  const half = takeLines(halves as Banded, place).map((line) => mul(line, 0.5));
  const shift = intercept as Banded;
  const passed = (a: Banded, magnitudes: Banded) =>
    byBand(add, byBand(mul, scale, a), byBand(mul, half, magnitudes));
  return {
    ...rows,
    middle: passed(rows.middle, byBand(sub, low, high)),
    spread: passed(rows.spread, byBand(add, low, high)),
    magnitude: undefined,
    lowerOffset: add(rows.lowerOffset, rowProducts(byBand(sub, lower, low), shift)),
    upperOffset: add(rows.upperOffset, rowProducts(byBand(add, upper, high), shift)),
  };
}

/** The bounds of rows over a box of what they are coefficients of, and the best on the way; [rows, 1]. */
export function boundRows(
  rows: RowState,
  centre: Banded | undefined,
  radius: Banded,
): { lower: Tensor; upper: Tensor } {
  const counted = centre ? withConstants(rows, (a) => rowProducts(a, centre)) : rows;
  const { lower, upper } = ends(rows);
  const here = {
    lower: sub(counted.lowerOffset, rowProducts(absolute(lower), radius)),
    upper: add(counted.upperOffset, rowProducts(absolute(upper), radius)),
  };
  if (rows.best === undefined) return here;
  return {
    lower: maximum(rows.best.lower, here.lower),
    upper: minimum(rows.best.upper, here.upper),
  };
}
