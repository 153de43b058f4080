/** Losses of single images, [1, batch], from logits or margins in the layout [rows, batch]. */
import {
  concat,
  constant,
  equalRows,
  type FloatType,
  greater,
  logSumExp,
  mul,
  neg,
  reduceMax,
  sub,
  sum,
  type Tensor,
  where,
  zeros,
} from '../graph/index.js';

/** Cross-entropy of logits [classes, batch] against labels [batch]. */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  const chosen = sum(
    mul(logits, equalRows(labels, logits.shape[0] as number, logits.dtype as FloatType)),
    [0],
  );
  return sub(logSumExp(logits, [0]), chosen);
}

/**
 * Cross-entropy of the worst case that lower bounds of the margins [classes − 1, batch] allow: the label's
 * logit is 0, every other one is −margin (Gowal et al. 2018; Zhang et al. 2020).
 */
export function marginCrossEntropy(margins: Tensor): Tensor {
  return logSumExp(concat([zeros([1, margins.shape[1] as number], margins.dtype), neg(margins)], 0), [0]);
}

/** The smallest margin of each image. */
export const worstMargin = (margins: Tensor): Tensor => neg(reduceMax(neg(margins), [0]));

/** Larger than any difference of logits: takes a class out of a maximum. */
const EXCLUDED = 1e9;

/** logit[y] − max over j ≠ y: positive exactly where the network is right. */
export function naturalMargin(logits: Tensor, labels: Tensor): Tensor {
  const hot = equalRows(labels, logits.shape[0] as number, logits.dtype as FloatType);
  return sub(sum(mul(logits, hot), [0]), reduceMax(sub(logits, mul(hot, EXCLUDED)), [0]));
}

/** 1 where a margin is positive, else 0. */
export const isPositive = (margin: Tensor): Tensor =>
  where(greater(margin, 0), constant(1, [], margin.dtype), constant(0, [], margin.dtype));
