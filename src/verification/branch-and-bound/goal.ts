/** One row to be shown positive over the box: coefficients·f(x) > threshold. */
export interface Goal {
  readonly coefficients: Float64Array;
  /** Coefficients of the inputs, added to them. */
  readonly inputs?: Float64Array;
  readonly threshold: number;
}
