/** Losses and counts over one batch, from logits or margins in the layout [rows, batch]. */
import { add, concat, equalRows, type FloatType, greater, logSumExp, mul, neg, reduceMax, relu, sub, sum, type Tensor, total, where, zeros } from '../graph/index.js';

const mean = (x: Tensor): Tensor => mul(total(x), 1 / x.shape.reduce((a, b) => a * b, 1));

/** Mean cross-entropy of logits [classes, batch] against labels [batch]. */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  const chosen = sum(mul(logits, equalRows(labels, logits.shape[0] as number, logits.dtype as FloatType)), [0]);
  return mean(sub(logSumExp(logits, [0]), chosen));
}

/**
 * Mean cross-entropy of the worst case that lower bounds of the margins [classes − 1, batch] allow: the label's logit is 0, every
 * other one is −margin (Gowal et al. 2018; Zhang et al. 2020).
 */
export function marginCrossEntropy(margins: Tensor): Tensor {
  const batch = margins.shape[1] as number;
  const all = concat([zeros([1, batch], margins.dtype), neg(margins)], 0);
  return mean(logSumExp(all, [0]));
}

/** How many columns of margins are positive throughout: images whose label holds. */
export function countPositive(margins: Tensor): Tensor {
  const worst = neg(reduceMax(neg(margins), [0]));
  return total(where(greater(worst, 0), add(zeros(worst.shape, worst.dtype), 1), 0));
}

/** logit[y] − max over j ≠ y, [1, batch]. */
export function naturalMargin(logits: Tensor, labels: Tensor): Tensor {
  const hot = equalRows(labels, logits.shape[0] as number, logits.dtype as FloatType);
  const own = sum(mul(logits, hot), [0]);
  const others = reduceMax(sub(logits, mul(hot, 1e9)), [0]);
  return sub(own, others);
}

/** Σ |w| over tensors. */
export const l1Norm = (weights: readonly Tensor[]): Tensor =>
  weights.map((w) => total(add(relu(w), relu(neg(w))))).reduce((a, b) => add(a, b));

