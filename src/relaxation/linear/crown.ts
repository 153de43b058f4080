/**
 * CROWN = DeepPoly (Zhang et al. 2018, arXiv 1811.00866; Singh et al. 2019): the bounds of every layer by
 * back-substitution.
 *
 * The first layer's bounds are intervals, which are exact there. Each later pre-activation is
 * back-substituted, but only the neurons that an interval step from the bounds before it leaves unstable: a
 * stable ReLU is exactly linear, so its bounds matter no further. Smooth activations need all of theirs. Rows
 * of one program each carry one neuron of one image, over its receptive field (`region.ts`).
 *
 * Networks that are not chains, and convolutions that see the input through anything but convolutions, are
 * back-substituted densely; there too, neurons that intervals prove stable keep their intervals.
 */
import type { FloatType, Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type Network } from '../../network/network.js';
import { withoutNormalization } from '../front.js';
import { type BoundProblem, type BoundResult, type Relaxation, specificationMargins } from '../relaxation.js';
import { backSubstitute, concretize } from './back-substitution.js';
import {
  crownRowsApply,
  DENSE_NEURONS,
  intervalsSuffice,
  type LayerBounds,
  layerBounds,
} from './layer-bounds.js';
import { inMarginKernel } from './margin-run.js';
import { isNonlinear, slopesOf } from './nonlinear.js';
import { crownRule } from './row-rule.js';

export interface CrownOptions {
  /** Back-substitute every neuron, also those that intervals prove stable. */
  readonly all?: boolean;
}

/**
 * Whether CROWN's bounds of all neurons are affordable: row by row over receptive fields, or of few neurons.
 */
export const crownIsAffordable = (net: Network): boolean =>
  net.nodes.every(
    ({ layer, inputs }) =>
      !isNonlinear(layer) ||
      inputs[0] === INPUT ||
      featuresOf(layer.input) <= DENSE_NEURONS ||
      crownRowsApply(net, inputs[0] as number) ||
      intervalsSuffice(net, inputs[0] as number),
  );

/**
 * Stages for CROWN's bounds of what every ReLU and smooth activation reads, and those bounds in the graph
 * that follows them.
 */
export const crownBounds = (problem: BoundProblem, { all = false }: CrownOptions = {}): LayerBounds =>
  layerBounds(problem, all ? { ...crownRule, name: 'crown-all' } : crownRule, all);

export function crownWith(options: CrownOptions = {}): Relaxation {
  return {
    name: options.all ? 'crown-all' : 'crown',
    differentiable: true,
    bound(original): BoundResult {
      const problem = withoutNormalization(original);
      const { network: net, parameters, box, specification } = problem;
      const { stages, before } = crownBounds(problem, options);
      const rows: Tensor = specificationMargins(specification, net.classes, box.lower.dtype as FloatType);
      const bound = backSubstitute(net, parameters, net.nodes.length - 1, rows, (node) =>
        slopesOf(net, node, before(node)),
      );
      return { stages, margins: inMarginKernel(concretize(bound, box), problem, rows, before) };
    },
  };
}

export const crown: Relaxation = crownWith();

/** CROWN whose bounds are nowhere helped by intervals. */
export const crownAll: Relaxation = crownWith({ all: true });
