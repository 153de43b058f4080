/**
 * Batch normalisation with the statistics of a whole batch that is cut into micro-batches: the programs of
 * its passes.
 *
 * Forward, layer by layer: mean and variance of each micro-batch (`value`), put together to those of the
 * batch, which the next layers read. Backward, in the opposite order: with ∂L/∂μ and ∂L/∂v of a layer known,
 * the derivative of
 *
 *   Σ_c ∂L/∂μ_c · Σ_i w_i ȳ_ic + ∂L/∂v_c · Σ_i w_i mean_p (y_icp − μ_c)²
 *
 * in the parameters and in the statistics of the layers before (`gradient`); micro-batches add up. Together
 * with the derivative of the loss at fixed statistics, that is the derivative of the loss of the whole batch.
 */
import {
  add,
  broadcastTo,
  gemm,
  input,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  total,
  transpose,
} from '../graph/index.js';
import { inputName, isInput } from '../graph/operators/leaves.js';
import { topologicalOrder } from '../graph/tensor.js';
import { channelStatistics, normalizedForward, type StatisticsOf } from '../network/batch-statistics.js';
import { batchNormNodes } from '../network/folding.js';
import { INPUT, type Network, type Parameters } from '../network/network.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Plan } from '../runtime/plan/plan.js';

/** Names of the cotangents that a layer's `gradient` reads. */
export const MEAN_COTANGENT = 'mean cotangent';
export const VARIANCE_COTANGENT = 'variance cotangent';
/** Name of the mean that deviations are taken from: a constant of `gradient`. */
export const CENTRE = 'centre';

/** One batch normalisation: its statistics and the programs that find them. */
export interface StatisticsLayer {
  /** Names under which programs read mean and variance. */
  readonly mean: string;
  readonly variance: string;
  readonly channels: number;
  /** `mean` and `variance` of a micro-batch. */
  readonly value: Plan;
  /** The derivative above, in the arrays of `wrt`. */
  readonly gradient: Plan;
}

const names = (node: number) => ({ mean: `mean ${node}`, variance: `variance ${node}` });

/** Statistics as inputs of a program, for `normalizedForward`. */
export const givenStatistics: StatisticsOf = (node, y, channels) => ({
  mean: input(names(node).mean, [channels], y.dtype as 'float32'),
  variance: input(names(node).variance, [channels], y.dtype as 'float32'),
});

/** Names of all statistics in order, as `wrt` of the loss's plan. */
export const statisticsNames = (net: Network): string[] =>
  batchNormNodes(net).flatMap((node) => [names(node).mean, names(node).variance]);

/** Weighted means over places and images of y [channels · places, batch]: [channels]. */
function weightedMeans(y: Tensor, channels: number, weight: Tensor): Tensor {
  const places = (y.shape[0] as number) / channels;
  const sums = reshape(gemm(y, transpose(weight)), [channels, places]);
  return mul(reshape(sum(sums, [1]), [channels]), 1 / places);
}

/** Each batch normalisation of a network in order. x [features, batch]; `present` and `weight` [1, batch]. */
export function statisticsLayers(
  net: Network,
  parameters: Parameters,
  x: Tensor,
  present: Tensor,
  weight: Tensor,
): StatisticsLayer[] {
  const { values } = normalizedForward(net, parameters, x, givenStatistics);
  return batchNormNodes(net).map((node) => {
    const { layer, inputs } = net.nodes[node] as Network['nodes'][number];
    const from = inputs[0] as number;
    const y = from === INPUT ? x : (values[from] as Tensor);
    const channels = layer.output[0];
    const vector = (name: string) => input(name, [channels], y.dtype as 'float32');
    const centred = sub(y, perFeature(vector(CENTRE), y));
    const loss = total(
      add(
        mul(weightedMeans(y, channels, weight), vector(MEAN_COTANGENT)),
        mul(weightedMeans(mul(centred, centred), channels, weight), vector(VARIANCE_COTANGENT)),
      ),
    );
    const read = new Set(topologicalOrder([y]).filter(isInput).map(inputName));
    const wrt = [...Object.keys(parameters), ...statisticsNames(net)].filter((name) => read.has(name));
    return {
      ...names(node),
      channels,
      value: createPlan([{ kind: 'whole', outputs: { ...channelStatistics(y, channels, present) } }]),
      gradient: createPlan([{ kind: 'whole', outputs: { loss } }], wrt),
    };
  });
}

/** One value per channel as one per feature, [features, 1]. */
function perFeature(value: Tensor, y: Tensor): Tensor {
  const [features] = y.shape as [number];
  const [channels] = value.shape as [number];
  const wide = broadcastTo(reshape(value, [channels, 1]), [channels, features / channels]);
  return reshape(wide, [features, 1]);
}
