/**
 * The input that is halved next, by what that is expected to gain.
 *
 * A row's lower bound over a part, margin = min of a·x + b, lies below its value at the centre x₀ for two
 * reasons:
 *
 *   c·y(x₀) − margin = Σ_i |a_i| w_i / 2 + g,  w_i = u_i − l_i,  g ≥ 0
 *
 * The first is the linear bound's own change over the part, and halving input i takes |a_i| w_i / 4 of it
 * (smear; Wang et al. 2018, ReluVal). The second, g, is the gap between the row and its linear bound. It
 * comes from loose hidden neurons, where a says nothing: slopes of zero hide inputs that matter. It shrinks
 * with the part, so each input is credited with the share of g that its width has beside the whole box, times
 * a small factor: a slope is knowledge, a width is a guess. No input is left wide for ever: while g stays,
 * an input of no slope grows in share until it is halved.
 */
import type { Box } from '../property/property.js';

/**
 * Worth of a gap beside a change. On ACAS Xu 0.001 to 0.003 halve the parts of one property in three and end
 * those that slopes alone leave open; 0.01 doubles the parts of most, 0.1 multiplies them by ten.
 */
const LOOSE = 0.003;

/** A row over a part, as its bounds are known. */
export interface RowBound {
  /** Lower bound over the part. */
  readonly margin: number;
  /** c·y + d·x at the part's centre. */
  readonly atCentre: number;
  /** |a_i| (u_i − l_i) of each input. */
  readonly influence: (input: number) => number;
}

/** Widths of a part's inputs beside those of the whole box, scaled to the sum 1; 0 where nothing varies. */
export function sharesOfWidth(part: Box, whole: Box): Float64Array {
  const relative = part.lower.map((low, i) => {
    const width = (whole.upper[i] as number) - (whole.lower[i] as number);
    return width > 0 ? ((part.upper[i] as number) - low) / width : 0;
  });
  const sum = relative.reduce((total, value) => total + value, 0);
  return sum > 0 ? relative.map((value) => value / sum) : relative;
}

/** Raises each input's score to what this row expects of halving it. */
export function raiseScores(scores: Float64Array, shares: Float64Array, row: RowBound): void {
  let change = 0;
  for (let i = 0; i < scores.length; i++) change += row.influence(i) / 2;
  const gap = row.atCentre - row.margin - change;
  // Arithmetic that overflowed leaves no gap to share.
  const loose = gap > 0 && Number.isFinite(gap) ? gap : 0;
  scores.forEach((score, i) => {
    scores[i] = Math.max(score, row.influence(i) / 2 + LOOSE * loose * (shares[i] as number));
  });
}

/** The input of the highest score; −1 where none is wider than `narrow` beside the size of its ends. */
export function inputToHalve({ lower, upper }: Box, scores: Float64Array, narrow: number): number {
  let best = -1;
  let most = -1;
  scores.forEach((score, i) => {
    const [low, high] = [lower[i] as number, upper[i] as number];
    if (!(high - low > narrow * Math.max(Math.abs(low), Math.abs(high), 1e-30))) return;
    if (score > most) [best, most] = [i, score];
  });
  return best;
}
