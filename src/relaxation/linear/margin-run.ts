/**
 * Margins by back-substitution with CROWN's lines, said to the plans that may compute them in the margin
 * kernel: those of chains of convolutions, linear layers and ReLUs.
 */
import type { Tensor } from '../../graph/index.js';
import { asConvolution } from '../../network/layers/as-convolution.js';
import { featuresOf } from '../../network/layers/layer.js';
import { isChain, type NetworkNode, weightsOf } from '../../network/network.js';
import { MOST_COEFFICIENTS } from '../../runtime/kernels/margin-chain.js';
import { type MarginRun, type MarginRunStep, markMargins } from '../../runtime/plan/layer-runs.js';
import type { BoundProblem, Bounds } from '../relaxation.js';

type Problem = Pick<BoundProblem, 'network' | 'parameters' | 'box'>;

/**
 * The run of rows [outputs, rows, batch] from the last node back to the input; `before` gives the bounds of
 * what a ReLU reads. Undefined for networks that the kernel does not know.
 */
export function marginRun(
  { network: net, parameters, box }: Problem,
  rows: Tensor,
  before: (node: number) => Bounds,
): MarginRun | undefined {
  if (!isChain(net)) return undefined;
  const steps: MarginRunStep[] = [];
  for (let k = net.nodes.length - 1; k >= 0; k--) {
    const { layer } = net.nodes[k] as NetworkNode;
    const input = k > 0 ? (net.nodes[k - 1] as NetworkNode).layer.output : net.input;
    const output = layer.output;
    if (layer.kind === 'relu' && output.every((n, i) => n === input[i])) {
      const { lower, upper } = before(k);
      steps.push({ kind: 'relu', extents: output, lower, upper });
      continue;
    }
    const geometry = layer.kind === 'affine' ? asConvolution(layer, input) : undefined;
    if (geometry === undefined) return undefined;
    const { weight, bias } = weightsOf(net, k, parameters);
    steps.push({ kind: 'affine', ...geometry, weight: weight as Tensor, bias });
  }
  return { rows, steps, box: [box.lower, box.upper] };
}

/** Coefficients of a row at all layers, with at most those that padding adds. */
function coefficientsOf({ rows, steps }: MarginRun): number {
  const behind = steps.map((step) => {
    if (step.kind === 'relu') return featuresOf(step.extents);
    const { input, kernel, padding } = step;
    return input[0] * (input[1] + padding[0] + kernel[0]) * (input[2] + padding[1] + kernel[1]);
  });
  return behind.reduce((a, b) => a + b, rows.shape[0] as number);
}

/** The same margins [rows, batch], which plans may compute in the margin kernel. */
export function inMarginKernel(
  margins: Tensor,
  problem: Problem,
  rows: Tensor,
  before: (node: number) => Bounds,
): Tensor {
  const run = marginRun(problem, rows, before);
  if (run !== undefined && coefficientsOf(run) <= MOST_COEFFICIENTS) markMargins(run, margins);
  return margins;
}
