/**
 * A network as it is evaluated and exported: batch normalisation folded away with the statistics of all
 * training images.
 *
 * Training uses the statistics of each batch, so those of all images are a function of θ alone and
 * no part of its state: they are found where a network is wanted, at the end of an epoch or of the run. They
 * are exact: layer by layer, each in a pass over the images without augmentation, the layers before it
 * normalised as they will be. Those of micro-batches are put together in float64, so that
 * neither the order of images nor where they are cut matters beyond rounding.
 */
import { allocateBatch, assembleBatch } from '../data/batches.js';
import type { Split } from '../data/dataset.js';
import { input, reshape, type Tensor, transpose } from '../graph/index.js';
import { channelStatistics, combinedStatistics, normalizedForward } from '../network/batch-statistics.js';
import {
  batchNormNodes,
  type ChannelStatistics,
  foldedNetwork,
  foldParameters,
  type Statistics,
} from '../network/folding.js';
import { featuresOf } from '../network/layers/layer.js';
import { INPUT, type Network, parameterInputs } from '../network/network.js';
import { flatten, type ParameterSlot, parameterLayout, views } from '../network/parameters.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Plan } from '../runtime/plan/plan.js';
import { inLanes } from '../runtime/pool/lanes.js';
import type { Pool } from '../runtime/pool/pool.js';
import { inSharedMemory } from '../runtime/shared-memory.js';

export interface DeployedNetworkOptions {
  readonly network: Network;
  /** All training images, whose statistics are folded in. */
  readonly train: Split;
  /** Images of one program call. */
  readonly microBatch: number;
  readonly pool: Pool;
}

export interface DeployedNetwork {
  /** The network without batch normalisation; the network itself where it has none. */
  readonly network: Network;
  readonly layout: readonly ParameterSlot[];
  /** Statistics at θ by the number of the batch normalisation's node. */
  statistics(theta: Float32Array): Promise<Statistics<Float64Array>>;
  /** θ of the folded network. */
  folded(theta: Float32Array): Promise<Float32Array>;
}

const meanName = (node: number): string => `mean ${node}`;
const varianceName = (node: number): string => `variance ${node}`;

/**
 * (`images` [batch, features], `present` [batch], statistics of the layers before) → `mean`, `variance` of
 * what node `wanted` normalises.
 */
function statisticsPlan(net: Network, wanted: number, batch: number): Plan {
  const present = reshape(input('present', [batch]), [1, batch]);
  const x = transpose(input('images', [batch, featuresOf(net.input)]));
  const { values } = normalizedForward(net, parameterInputs(net), x, (node, _, channels) => ({
    mean: input(meanName(node), [channels]),
    variance: input(varianceName(node), [channels]),
  }));
  const { layer, inputs } = net.nodes[wanted] as Network['nodes'][number];
  const from = inputs[0] as number;
  const y = from === INPUT ? x : (values[from] as Tensor);
  return createPlan([{ kind: 'whole', outputs: { ...channelStatistics(y, layer.output[0], present) } }]);
}

/** Compiles what finds the statistics; programs run only when asked. */
export function createDeployedNetwork({
  network: net,
  train,
  microBatch,
  pool,
}: DeployedNetworkOptions): DeployedNetwork {
  const layout = parameterLayout(net);
  const network = foldedNetwork(net);
  const foldedLayout = parameterLayout(network);
  const batch = Math.min(microBatch, train.count);
  const plans = batchNormNodes(net).map((node) => ({ node, plan: statisticsPlan(net, node, batch) }));

  async function pass(
    plan: Plan,
    theta: Float32Array,
    known: Readonly<Record<string, Float32Array>>,
  ): Promise<ChannelStatistics<Float64Array>> {
    const parts: (ChannelStatistics<ArrayLike<number>> & { readonly images: number })[] = new Array(
      Math.ceil(train.count / batch),
    );
    const part = async (index: number): Promise<void> => {
      const start = index * batch;
      const used = Math.min(batch, train.count - start);
      const room = allocateBatch(batch, featuresOf(net.input), { shared: true });
      assembleBatch(
        train,
        Array.from({ length: used }, (_, i) => start + i),
        room,
      );
      const present = new Float32Array(batch).fill(1, 0, used);
      const { outputs } = await pool.run({
        plan,
        feeds: { images: room.images, present, ...known },
        theta,
        layout,
      });
      parts[index] = {
        mean: outputs.mean as Float32Array,
        variance: outputs.variance as Float32Array,
        images: used,
      };
    };
    // One more under way than there are threads: the next is ready when a thread becomes free.
    await inLanes({ threads: pool.threads + 1 }, [...parts.keys()], part);
    return combinedStatistics(parts);
  }

  async function statistics(theta: Float32Array): Promise<Statistics<Float64Array>> {
    const shared = inSharedMemory(theta);
    const found = new Map<number, ChannelStatistics<Float64Array>>();
    const known: Record<string, Float32Array> = {};
    for (const { node, plan } of plans) {
      const { mean, variance } = await pass(plan, shared, known);
      found.set(node, { mean, variance });
      known[meanName(node)] = Float32Array.from(mean);
      known[varianceName(node)] = Float32Array.from(variance);
    }
    return found;
  }

  return {
    network,
    layout: foldedLayout,
    statistics,
    folded: async (theta) =>
      plans.length === 0
        ? theta
        : flatten(foldParameters(net, views(theta, layout), await statistics(theta)), foldedLayout),
  };
}
