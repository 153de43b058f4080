/**
 * Networks with batch normalisation run on clean images: where the statistics μ, v of each of its layers come
 * from.
 *
 * Layer by layer: the statistics of one depend, through its normalised output, on those of the layers before.
 * All of it is part of the graph, so that a loss of bounds is differentiated through the statistics as a loss
 * of outputs would be.
 */
import {
  add,
  addAll,
  broadcastTo,
  div,
  gemm,
  maximum,
  mul,
  relu,
  reshape,
  type Shape,
  sub,
  sum,
  type Tensor,
  total,
  transpose,
} from '../graph/index.js';
import { activationFunctions } from './activations/index.js';
import { type ChannelStatistics, channelScale } from './folding.js';
import { isBatchNorm } from './layers/batch-norm.js';
import { INPUT, type Network, type NetworkNode, type Parameters, weightsOf } from './network.js';

/**
 * Mean and variance per channel of y [channels · places, batch] over its places and the images that `present`
 * [1, batch] marks with 1.
 *
 *   μ_c = Σ y/n,  v_c = Σ (y − μ_c)²/n,  n = places · Σ present
 */
export function channelStatistics(y: Tensor, channels: number, present: Tensor): ChannelStatistics {
  const features = y.shape[0] as number;
  const places = features / channels;
  const count = mul(maximum(total(present), 1), places);
  // A product with `present` sums over the batch in one pass over y.
  const mean = (z: Tensor) =>
    reshape(div(sum(reshape(gemm(z, transpose(present)), [channels, places]), [1]), count), [channels]);
  const mu = mean(y);
  const centred = sub(y, perFeature(mu, [features, 1]));
  return { mean: mu, variance: mean(mul(centred, centred)) };
}

/** One value per channel as one per feature, [features, 1]. */
function perFeature(value: Tensor, [features]: Shape): Tensor {
  const channels = value.shape[0] as number;
  return reshape(broadcastTo(reshape(value, [channels, 1]), [channels, (features as number) / channels]), [
    features as number,
    1,
  ]);
}

/** Statistics to normalise y, the input of batch normalisation `node`, with. */
export type StatisticsOf = (node: number, y: Tensor, channels: number) => ChannelStatistics;

export interface NormalizedForward {
  /** Activations of every node, [features, batch]; the last one is the logits. */
  readonly values: readonly Tensor[];
  /** What was used, by the number of the batch normalisation's node. */
  readonly statistics: ReadonlyMap<number, ChannelStatistics>;
}

/** Runs a network on x [features, batch], its batch normalisations with the statistics given. */
export function normalizedForward(
  net: Network,
  parameters: Parameters,
  x: Tensor,
  statisticsOf: StatisticsOf,
): NormalizedForward {
  const values: Tensor[] = [];
  const statistics = new Map<number, ChannelStatistics>();
  net.nodes.forEach(({ layer, inputs }: NetworkNode, node) => {
    const from = inputs.map((k) => (k === INPUT ? x : (values[k] as Tensor)));
    const y = from[0] as Tensor;
    const weights = () => weightsOf(net, node, parameters);
    if (layer.kind === 'relu') values.push(relu(y));
    else if (layer.kind === 'join') values.push(addAll(from));
    else if (layer.kind === 'activation') values.push(activationFunctions[layer.function].value(y));
    else if (!isBatchNorm(layer)) values.push(layer.apply(weights(), y));
    else {
      const used = statisticsOf(node, y, layer.output[0]);
      statistics.set(node, used);
      const { weight: gamma, bias: beta } = weights() as { weight: Tensor; bias: Tensor };
      const scale = channelScale(gamma, used.variance);
      const shift = sub(beta, mul(used.mean, scale));
      values.push(add(mul(y, perFeature(scale, y.shape)), perFeature(shift, y.shape)));
    }
  });
  return { values, statistics };
}

/**
 * Runs a network on the images that `present` [1, batch] marks, each batch normalisation with their
 * statistics.
 */
export const batchForward = (
  net: Network,
  parameters: Parameters,
  x: Tensor,
  present: Tensor,
): NormalizedForward =>
  normalizedForward(net, parameters, x, (_, y, channels) => channelStatistics(y, channels, present));

/**
 * Statistics of parts of `images` each, put together in float64:
 *
 *   μ = Σ n_i μ_i/n,  v = Σ n_i (v_i + (μ_i − μ)²)/n.
 */
export function combinedStatistics(
  parts: readonly (ChannelStatistics<ArrayLike<number>> & { readonly images: number })[],
): ChannelStatistics<Float64Array> {
  const all = parts.reduce((sum, { images }) => sum + images, 0);
  const channels = parts[0]?.mean.length ?? 0;
  const average = (value: (part: (typeof parts)[number], c: number) => number) =>
    Float64Array.from(
      { length: channels },
      (_, c) => parts.reduce((sum, part) => sum + part.images * value(part, c), 0) / all,
    );
  const mean = average((part, c) => part.mean[c] as number);
  return {
    mean,
    variance: average(
      (part, c) => (part.variance[c] as number) + ((part.mean[c] as number) - (mean[c] as number)) ** 2,
    ),
  };
}
