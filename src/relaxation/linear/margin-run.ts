/**
 * Margins by back-substitution with lines of ReLUs, said to the plans that may compute them in the margin
 * kernel: those of chains of convolutions, linear layers and ReLUs.
 */
import type { Tensor } from '../../graph/index.js';
import { asConvolution } from '../../network/layers/as-convolution.js';
import { featuresOf } from '../../network/layers/layer.js';
import { isChain, type NetworkNode, weightsOf } from '../../network/network.js';
import { MOST_COEFFICIENTS } from '../../runtime/kernels/margin-chain.js';
import {
  type MarginRun,
  type MarginRunStep,
  markMargins,
  type RunLines,
} from '../../runtime/plan/layer-runs.js';
import type { BoundProblem, Bounds } from '../relaxation.js';

type Problem = Pick<BoundProblem, 'network' | 'parameters' | 'box'>;

/** What a ReLU does to rows: bounds of what it reads stand for CROWN's lines on them. */
export type ReluPass = Bounds | RunLines;

export interface MarginRunOptions {
  /** Bounds at the output of every ReLU count, too; ReLUs are passed by bounds. */
  readonly nested?: boolean;
  /** Bounds stand for DeepZ's lines, of one slope. */
  readonly straight?: boolean;
  /** The node whose outputs the rows are over; the last one by default. */
  readonly from?: number;
  /** The rows without constants of layers: coefficients over the box alone. */
  readonly linear?: boolean;
}

/**
 * The run of rows [outputs, rows, batch] from a node back to the input; `through` says how they pass a
 * ReLU. Undefined for networks that the kernel does not know.
 */
export function marginRun(
  { network: net, parameters, box }: Problem,
  rows: Tensor,
  through: (node: number) => ReluPass,
  { nested, straight, from = net.nodes.length - 1, linear }: MarginRunOptions = {},
): MarginRun | undefined {
  if (!isChain(net)) return undefined;
  const steps: MarginRunStep[] = [];
  for (let k = from; k >= 0; k--) {
    const { layer } = net.nodes[k] as NetworkNode;
    const input = k > 0 ? (net.nodes[k - 1] as NetworkNode).layer.output : net.input;
    const output = layer.output;
    if (layer.kind === 'relu' && output.every((n, i) => n === input[i])) {
      const pass = through(k);
      steps.push(
        'alpha' in pass
          ? { kind: 'lines', extents: output, ...pass }
          : { kind: 'relu', extents: output, lower: pass.lower, upper: pass.upper, straight },
      );
      continue;
    }
    const geometry = layer.kind === 'affine' ? asConvolution(layer, input) : undefined;
    if (geometry === undefined) return undefined;
    const { weight, bias } = weightsOf(net, k, parameters);
    steps.push({
      kind: 'affine',
      ...geometry,
      weight: weight as Tensor,
      bias: linear ? undefined : bias,
    });
  }
  return { rows, nested, steps, box: [box.lower, box.upper] };
}

/** Coefficients of a row at all layers, with at most those that padding adds. */
function coefficientsOf({ rows, steps }: MarginRun): number {
  const behind = steps.map((step) => {
    if (step.kind !== 'affine') return featuresOf(step.extents);
    const { input, kernel, padding } = step;
    return input[0] * (input[1] + padding[0] + kernel[0]) * (input[2] + padding[1] + kernel[1]);
  });
  return behind.reduce((a, b) => a + b, rows.shape[0] as number);
}

/** Whether the kernel has memory for the rows of a run. */
export const fitsMarginKernel = (run: MarginRun): boolean => coefficientsOf(run) <= MOST_COEFFICIENTS;

/** The same margins [rows, batch], which plans may compute in the margin kernel. */
export function inMarginKernel(
  margins: Tensor,
  problem: Problem,
  rows: Tensor,
  through: (node: number) => ReluPass,
  options?: MarginRunOptions,
): Tensor {
  const run = marginRun(problem, rows, through, options);
  if (run !== undefined && fitsMarginKernel(run)) markMargins(run, margins);
  return margins;
}
