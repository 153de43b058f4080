/**
 * Networks without their batch normalisation: each is folded into the convolution or linear layer that it
 * follows.
 *
 *   W' = s ∘ W,  b' = (b − μ) ∘ s + β,  s = γ/√(v + ϵ), per output channel
 *
 * The folded network computes the same with fixed statistics μ, v. It is what is bounded, attacked, exported
 * and verified.
 */
import { add, div, mul, neg, reshape, sqrt, sub, type Tensor } from '../graph/index.js';
import { BATCH_NORM_EPSILON, isBatchNorm } from './layers/batch-norm.js';
import type { AffineLayer } from './layers/layer.js';
import { INPUT, type Network, type NetworkNode, network, type Parameters, parameterName } from './network.js';
import type { ParameterArrays } from './parameters.js';

/**
 * μ and v of a batch normalisation's input, [channels]; v is the mean squared deviation (divided by n, not n
 * − 1).
 */
export interface ChannelStatistics<T = Tensor> {
  readonly mean: T;
  readonly variance: T;
}

/** Statistics by the number of the batch normalisation's node. */
export type Statistics<T = Tensor> = ReadonlyMap<number, ChannelStatistics<T>>;

/** A node of the folded network: whose weights it has, and which batch normalisation it absorbs. */
interface Origin {
  readonly node: number;
  readonly batchNorm?: number;
}

interface Folded {
  readonly network: Network;
  readonly origins: readonly Origin[];
}

/** Numbers of the nodes that are batch normalisations, in order. */
export const batchNormNodes = ({ nodes }: Network): number[] =>
  nodes.flatMap(({ layer }, i) => (isBatchNorm(layer) ? [i] : []));

const known = new WeakMap<Network, Folded>();

function fold(net: Network): Folded {
  const made = known.get(net) ?? newlyFolded(net);
  known.set(net, made);
  return made;
}

function newlyFolded(net: Network): Folded {
  if (batchNormNodes(net).length === 0)
    return { network: net, origins: net.nodes.map((_, node) => ({ node })) };
  const nodes: NetworkNode[] = [];
  const origins: Origin[] = [];
  /** Where each node of `net` is found. */
  const moved: number[] = [];
  net.nodes.forEach(({ layer, inputs }, node) => {
    if (!isBatchNorm(layer)) {
      moved.push(
        nodes.push({ layer, inputs: inputs.map((k) => (k === INPUT ? INPUT : (moved[k] as number))) }) - 1,
      );
      origins.push({ node });
      return;
    }
    const before = inputs[0] as number;
    const absorbing = net.nodes[before]?.layer;
    const readers = net.nodes.filter((other) => other.inputs.includes(before)).length;
    if (absorbing?.kind !== 'affine' || !['convolution', 'linear'].includes(absorbing.name) || readers > 1)
      throw new RangeError(
        `network ${net.name}: expected batch normalisation at node ${node} to follow a convolution or ` +
          'linear layer that nothing else reads, got ' +
          `${absorbing?.name ?? 'the input'}${readers > 1 ? ' with other readers' : ''}`,
      );
    const at = moved[before] as number;
    nodes[at] = { ...(nodes[at] as NetworkNode), layer: withBias(absorbing) };
    origins[at] = { node: before, batchNorm: node };
    moved.push(at);
  });
  return { network: network(net.name, net.input, nodes), origins };
}

function withBias(layer: AffineLayer): AffineLayer {
  const [weight] = layer.parameters;
  if (weight === undefined || layer.parameters.length > 1) return layer;
  return { ...layer, parameters: [weight, { name: 'bias', shape: [layer.output[0]], fanIn: weight.fanIn }] };
}

/**
 * The network without batch normalisation; itself where it has none. Asked again, the same object.
 * @throws RangeError for a batch normalisation that does not follow a convolution or linear layer of its own
 */
export const foldedNetwork = (net: Network): Network => fold(net).network;

/** Renames what is kept and makes with `effective` what absorbs a batch normalisation. */
function foldBy<T>(
  net: Network,
  parameters: Readonly<Record<string, T>>,
  effective: (
    weight: T,
    bias: T | undefined,
    gamma: T,
    beta: T,
    batchNorm: number,
  ) => { readonly weight: T; readonly bias: T },
): Record<string, T> {
  const { network: plain, origins } = fold(net);
  const entries = plain.nodes.flatMap(({ layer }, i): (readonly [string, T])[] => {
    const { node, batchNorm } = origins[i] as Origin;
    const of = (from: number, name: string) => parameters[parameterName(from, name)] as T;
    if (batchNorm === undefined)
      return layer.parameters.map(({ name }) => [parameterName(i, name), of(node, name)]);
    const { weight, bias } = effective(
      of(node, 'weight'),
      of(node, 'bias'),
      of(batchNorm, 'weight'),
      of(batchNorm, 'bias'),
      batchNorm,
    );
    return [
      [parameterName(i, 'weight'), weight],
      [parameterName(i, 'bias'), bias],
    ];
  });
  return Object.fromEntries(entries);
}

/** Parameters of the folded network as graph tensors, differentiable in the parameters and the statistics. */
export function foldedParameters(net: Network, parameters: Parameters, statistics: Statistics): Parameters {
  return foldBy(net, parameters, (weight, bias, gamma, beta, batchNorm) => {
    const { mean, variance } = statistics.get(batchNorm) as ChannelStatistics;
    const scale = channelScale(gamma, variance);
    const perOutput = reshape(
      scale,
      weight.shape.map((extent, axis) => (axis === 0 ? extent : 1)),
    );
    const centre = bias === undefined ? neg(mean) : sub(bias, mean);
    return { weight: mul(weight, perOutput), bias: add(mul(centre, scale), beta) };
  });
}

/** s = γ/√(v + ϵ), [channels]. */
export const channelScale = (gamma: Tensor, variance: Tensor): Tensor =>
  div(gamma, sqrt(add(variance, BATCH_NORM_EPSILON)));

/** Parameters of the folded network as arrays, computed in float64 and rounded once. */
export function foldParameters(
  net: Network,
  arrays: ParameterArrays,
  statistics: Statistics<ArrayLike<number>>,
): Record<string, Float32Array> {
  return foldBy<Float32Array>(net, arrays, (weight, bias, gamma, beta, batchNorm) => {
    const { mean, variance } = statistics.get(batchNorm) as ChannelStatistics<ArrayLike<number>>;
    const scale = Float64Array.from(
      gamma,
      (g, c) => g / Math.sqrt((variance[c] as number) + BATCH_NORM_EPSILON),
    );
    const fanIn = weight.length / gamma.length;
    return {
      weight: weight.map((w, i) => w * (scale[Math.floor(i / fanIn)] as number)),
      bias: beta.map((b, c) => ((bias?.[c] ?? 0) - (mean[c] as number)) * (scale[c] as number) + b),
    };
  });
}
