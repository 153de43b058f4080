/**
 * Margins by back-substitution with CROWN's lines, said to the plans that may compute them in the margin
 * kernel: those of chains of convolutions, linear layers and ReLUs.
 */
import type { Tensor } from '../../graph/index.js';
import { type AffineLayer, type Extents, featuresOf } from '../../network/layers/layer.js';
import { isChain, type NetworkNode, weightsOf } from '../../network/network.js';
import { MOST_COEFFICIENTS } from '../../runtime/kernels/margin-chain.js';
import {
  LEAST_WORK,
  type MarginRun,
  type MarginRunStep,
  markMargins,
} from '../../runtime/plan/layer-runs.js';
import type { BoundProblem, Bounds } from '../relaxation.js';

type Problem = Pick<BoundProblem, 'network' | 'parameters' | 'box'>;

type Geometry = Omit<MarginRunStep & { kind: 'affine' }, 'weight' | 'bias'>;

/** A layer as the kernel carries rows of `output` back to `input`; undefined for one that it does not know. */
function geometryOf({ name, ...layer }: AffineLayer, output: Extents, input: Extents): Geometry | undefined {
  if (name === 'linear' && output[1] === 1 && output[2] === 1)
    return { kind: 'affine', output, input, kernel: [input[1], input[2]], stride: [1, 1], padding: [0, 0] };
  const isKnown = name === 'convolution' && layer.input.every((n, i) => n === input[i]);
  return isKnown && layer.window ? { kind: 'affine', output, input, ...layer.window } : undefined;
}

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
    const geometry = layer.kind === 'affine' ? geometryOf(layer, output, input) : undefined;
    if (geometry === undefined) return undefined;
    const { weight, bias } = weightsOf(net, k, parameters);
    steps.push({ ...geometry, weight: weight as Tensor, bias });
  }
  return { rows, steps, box: [box.lower, box.upper] };
}

/** Multiplications of all rows, and coefficients of a row with those that padding adds at most. */
function sizesOf({ rows, steps }: MarginRun): { readonly work: number; readonly coefficients: number } {
  const [outputs, count, batch] = rows.shape as [number, number, number];
  let [work, coefficients] = [0, outputs];
  for (const step of steps) {
    if (step.kind === 'relu') {
      coefficients += featuresOf(step.extents);
      continue;
    }
    const { output, input, kernel, padding } = step;
    work += featuresOf(output) * input[0] * kernel[0] * kernel[1];
    coefficients += input[0] * (input[1] + padding[0] + kernel[0]) * (input[2] + padding[1] + kernel[1]);
  }
  return { work: work * count * batch, coefficients };
}

/** The same margins [rows, batch], which plans may compute in the kernel where it pays. */
export function inMarginKernel(
  margins: Tensor,
  problem: Problem,
  rows: Tensor,
  before: (node: number) => Bounds,
): Tensor {
  const run = marginRun(problem, rows, before);
  if (run === undefined) return margins;
  const { work, coefficients } = sizesOf(run);
  if (work >= LEAST_WORK && coefficients <= MOST_COEFFICIENTS) markMargins(run, margins);
  return margins;
}
