/**
 * Which objectives the loss kernel (`native/`) computes: the certified loss with IBP, CROWN-IBP or CROWN of a
 * chain of convolutions and linear layers with ReLUs between them, behind a normalisation or none.
 *
 * Its values are those of the objective's graphs but for rounding; derivatives are left to the graphs.
 */
import { asConvolution } from '../network/layers/as-convolution.js';
import type { Extents, Layer } from '../network/layers/layer.js';
import type { Normalization } from '../network/layers/normalize.js';
import { chain, isChain, type Network, parameterName } from '../network/network.js';
import { relaxations } from '../relaxation/index.js';
import { rowChain, rowsFit } from '../relaxation/linear/row-chain.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import { multiplicationsOf } from '../runtime/kernels/convolution.js';
import {
  checkLoss,
  KERNEL_RELAXATIONS,
  type KernelLoss,
  type LossLayer,
  lossFits,
} from '../runtime/kernels/loss-chain.js';
import { type EncodedChain, encodeChain } from '../runtime/kernels/row-chain.js';
import { hasRowKernel } from '../runtime/kernels/row-kernel.js';
import type { LossKernelStage } from '../runtime/plan/plan.js';
import type { RobustLoss } from './robust-loss.js';

/** What an objective is built of, as far as the kernel asks (`ObjectiveOptions`). */
export interface LossKernelOptions {
  readonly network: Network;
  readonly microBatch: number;
  readonly natural?: KernelLoss['natural'];
  readonly clipBox?: boolean;
  readonly l1?: number;
  readonly warmupRegularizer?: boolean;
}

/** The kernel's way to the values of an objective; undefined where it has none or was not built. */
export function lossKernelOf(
  options: LossKernelOptions,
  method: RobustLoss | undefined,
): LossKernelStage | undefined {
  const loss = hasRowKernel() ? kernelLoss(options, method?.bound) : undefined;
  return loss && { kind: 'loss-kernel', loss };
}

/** What the kernel computes of an objective; undefined where it does not. */
function kernelLoss(options: LossKernelOptions, bound: Relaxation | undefined): KernelLoss | undefined {
  const {
    network,
    microBatch,
    natural = 'loss',
    clipBox = true,
    l1 = 0,
    warmupRegularizer = false,
  } = options;
  const relaxation = KERNEL_RELAXATIONS.find((name) => relaxations[name] === bound);
  const from = behindNormalization(network);
  if (relaxation === undefined || from === undefined) return undefined;
  const layers = chainLayers(from.network, from.first);
  if (layers === undefined || !lossFits(layers)) return undefined;
  const chains = relaxation === 'crown' ? hiddenRows(from.network, microBatch) : [];
  if (chains === undefined) return undefined;
  const loss: KernelLoss = {
    relaxation,
    natural,
    clip: clipBox,
    batch: microBatch,
    layers,
    chains,
    normalization: from.normalization,
    l1,
    warmup: warmupRegularizer,
    work: microBatch * imageWork(layers, relaxation),
  };
  checkLoss(loss);
  return loss;
}

/** Three passes forwards, a row back for each class, and with CROWN for each hidden neuron. */
function imageWork(layers: readonly LossLayer[], relaxation: KernelLoss['relaxation']): number {
  const all = layers.map(multiplicationsOf).reduce((a, b) => a + b, 0);
  const margins = relaxation === 'ibp' ? 0 : (layers.at(-1)?.output[0] as number);
  return all * (3 + margins + (relaxation === 'crown' && layers.length > 2 ? 32 : 0));
}

/** The network behind its normalisation, if it has one, and that as scale and shift of each channel. */
function behindNormalization(
  net: Network,
): { network: Network; first: number; normalization: readonly number[] } | undefined {
  if (!isChain(net)) return undefined;
  const [head, ...rest] = net.nodes.map(({ layer }) => layer);
  if (head?.name !== 'normalize' || rest.length === 0) return { network: net, first: 0, normalization: [] };
  const { mean, std } = (head as Layer & { readonly normalization: Normalization }).normalization;
  const scale = std.map((s) => 1 / s);
  const shift = mean.map((m, c) => -m / (std[c] as number));
  return { network: chain(net.name, head.output, rest), first: 1, normalization: [...scale, ...shift] };
}

/** The layers as the kernel reads them; `first`: number of the first in the whole network. */
function chainLayers({ nodes, input }: Network, first: number): LossLayer[] | undefined {
  if (nodes.length % 2 === 0) return undefined;
  const layers: LossLayer[] = [];
  let from = input;
  for (const [i, { layer }] of nodes.entries()) {
    if ((layer.kind === 'relu') !== (i % 2 === 1)) return undefined;
    if (layer.kind === 'relu') continue;
    const found = chainLayer(layer, from, first + i);
    const behindLinear = (layers.at(-1)?.kernel[0] ?? 0) > 0 && nodes[i - 2]?.layer.name === 'linear';
    if (found === undefined || (behindLinear && layer.name !== 'linear')) return undefined;
    layers.push(found);
    from = found.output;
  }
  return nodes.at(-1)?.layer.name === 'linear' ? layers : undefined;
}

function chainLayer(layer: Layer, from: Extents, node: number): LossLayer | undefined {
  if (layer.kind !== 'affine' || layer.parameters.length !== 2) return undefined;
  const names = { weight: parameterName(node, 'weight'), bias: parameterName(node, 'bias') };
  const geometry = asConvolution(layer, from);
  return geometry && { ...geometry, ...names };
}

/** Chains of the rows of each hidden layer but the first; undefined where one is too large. */
function hiddenRows(net: Network, batch: number): EncodedChain[] | undefined {
  const chains: EncodedChain[] = [];
  for (let node = 2; node < net.nodes.length - 1; node += 2) {
    if (!rowsFit(net, node)) return undefined;
    let positions = 0;
    const affine = () => ({ weight: positions++, bias: positions++ });
    const relu = () => [positions++, positions++, positions++];
    chains.push(encodeChain(rowChain(net, node, batch, { affine, relu })));
  }
  return chains;
}
