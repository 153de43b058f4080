/**
 * The convolutions, linear layers and ReLUs of a network that follow one another, said to the plans that may
 * compute them in the interval kernel.
 */
import type { Tensor } from '../graph/index.js';
import type { Convolution } from '../runtime/kernels/convolution.js';
import { isMatrix } from '../runtime/kernels/layer-chain.js';
import { type LayerRun, markRun, type RunLayer } from '../runtime/plan/layer-runs.js';
import { asConvolution } from './layers/as-convolution.js';
import { type AffineLayer, featuresOf } from './layers/layer.js';
import { forward, INPUT, type Network, type NetworkNode, type Parameters, weightsOf } from './network.js';

/** A layer as the kernel computes it, a linear one on a vector; undefined for one that it does not know. */
const geometryOf = (layer: AffineLayer): Convolution | undefined =>
  asConvolution(layer, layer.name === 'linear' ? [featuresOf(layer.input), 1, 1] : layer.input);

/** Whether a layer reads another's output as it lies: the same image, or all features in order. */
const follows = ({ output }: Convolution, next: Convolution): boolean =>
  output.every((n, i) => n === next.input[i]) || isMatrix(next);

/** The run that begins with a node, and the node behind its last. */
function runFrom(
  net: Network,
  parameters: Parameters,
  begin: number,
  endsOf: (node: number) => readonly Tensor[],
): { readonly run: LayerRun; readonly end: number } {
  const layers: RunLayer[] = [];
  let node = begin;
  for (; node < net.nodes.length; node++) {
    const { layer, inputs } = net.nodes[node] as NetworkNode;
    if (node > begin && (inputs.length !== 1 || inputs[0] !== node - 1)) break;
    const last = layers.at(-1);
    if (layer.kind === 'relu' && last !== undefined && last.passed === undefined) {
      layers[layers.length - 1] = { ...last, passed: endsOf(node) };
      continue;
    }
    const geometry = layer.kind === 'affine' ? geometryOf(layer) : undefined;
    if (geometry === undefined || (last !== undefined && !follows(last, geometry))) break;
    const { weight, bias } = weightsOf(net, node, parameters);
    layers.push({ ...geometry, weight: weight as Tensor, bias, sums: endsOf(node), passed: undefined });
  }
  const from = net.nodes[begin]?.inputs[0] as number;
  return { run: { input: endsOf(from), layers }, end: node };
}

/**
 * Marks what each node gives, its value or its lower and upper bound [features, batch], where nodes follow
 * one another as layers that the kernel knows.
 */
export function markRuns(
  net: Network,
  parameters: Parameters,
  input: readonly Tensor[],
  values: readonly (readonly Tensor[])[],
): void {
  const endsOf = (node: number) => (node === INPUT ? input : (values[node] as readonly Tensor[]));
  for (let node = 0; node < net.nodes.length; ) {
    const { run, end } = runFrom(net, parameters, node, endsOf);
    if (run.layers.length > 0) markRun(run);
    node = Math.max(end, node + 1);
  }
}

/** Logits [classes, batch] of x [features, batch], which plans may compute in the interval kernel. */
export function logitsOfRuns(net: Network, parameters: Parameters, x: Tensor): Tensor {
  const values = forward(net, parameters, x);
  markRuns(
    net,
    parameters,
    [x],
    values.map((value) => [value]),
  );
  return values.at(-1) as Tensor;
}
