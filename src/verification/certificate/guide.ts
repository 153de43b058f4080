/**
 * How a search divided what it proved, as it tells while it goes on: lists of decisions, from the root to each
 * part that it proved. A certificate's tree follows them.
 */

/** The ReLU that a search decided at a part, and how it went on; a branch that is missing was proved. */
export interface ReluGuide {
  /** ReLU i of the r-th ReLU layer. */
  readonly r: number;
  readonly i: number;
  active?: ReluGuide;
  inactive?: ReluGuide;
}

/** The input that a search halved at a part. */
export interface InputGuide {
  readonly input: number;
  below?: InputGuide;
  above?: InputGuide;
}
