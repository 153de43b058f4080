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
import {
  type FloatType,
  greater,
  input,
  maximum,
  minimum,
  mul,
  neg,
  type Tensor,
  where,
} from '../../graph/index.js';
import { featuresOf, type Layer } from '../../network/layers/layer.js';
import { INPUT, isChain, type Network, type NetworkNode } from '../../network/network.js';
import type { Stage } from '../../runtime/plan/plan.js';
import { withoutNormalization } from '../front.js';
import { intervalNode } from '../interval.js';
import {
  type BoundProblem,
  type BoundResult,
  type Bounds,
  type Relaxation,
  specificationMargins,
} from '../relaxation.js';
import { backSubstitute, boundNode, concretize } from './back-substitution.js';
import { isNonlinear, slopesOf } from './nonlinear.js';
import { rowStages } from './row-bounds.js';
import { crownRule } from './row-rule.js';

export interface CrownOptions {
  /** Back-substitute every neuron, also those that intervals prove stable. */
  readonly all?: boolean;
}

const boundName = (node: number, side: 'lower' | 'upper'): string => `bounds:${node}:${side}`;

/** Bounds that an earlier stage left under their names. */
export function storedBounds(node: number, shape: readonly [number, number], dtype: FloatType): Bounds {
  return {
    lower: input(boundName(node, 'lower'), shape, dtype),
    upper: input(boundName(node, 'upper'), shape, dtype),
  };
}

/**
 * Whether a node's neurons can be bounded row by row over receptive fields: in chains of convolutions, linear
 * layers and ReLUs, and from a convolution only through convolutions with a ReLU between each two of them.
 * Where a window leaves a layer, its coefficients mean nothing until that ReLU's slopes, zero there, take
 * them away.
 */
const rowsApply = (net: Network, node: number): boolean => {
  const layers = net.nodes.slice(0, node + 1).map(({ layer }) => layer);
  const target = layers.at(-1) as Layer;
  const known = layers.every(
    (layer) =>
      layer.kind === 'relu' ||
      (layer.kind === 'affine' && (layer.name === 'linear' || layer.window !== undefined)),
  );
  if (!isChain(net) || !known || target.kind !== 'affine') return false;
  const alternate = layers.every(
    (layer, k) => layer.kind !== 'affine' || (layer.window !== undefined && layers[k - 1]?.kind !== 'affine'),
  );
  return target.window === undefined || alternate;
};

/** Neurons of a layer up to which it is bounded densely without more time and memory than it is worth. */
const DENSE_NEURONS = 1024;

/**
 * Whether CROWN's bounds of all neurons are affordable: row by row over receptive fields, or of few neurons.
 */
export const crownIsAffordable = (net: Network): boolean =>
  net.nodes.every(
    ({ layer, inputs }) =>
      !isNonlinear(layer) || featuresOf(layer.input) <= DENSE_NEURONS || rowsApply(net, inputs[0] as number),
  );

/**
 * Stages for the bounds of what every ReLU and smooth activation reads, and those bounds in the graph that
 * follows them.
 */
export function crownBounds(
  problem: BoundProblem,
  options: CrownOptions = {},
): { stages: Stage[]; before: (node: number) => Bounds } {
  const { network: net, parameters, box } = problem;
  const dtype = box.lower.dtype as FloatType;
  const batch = box.lower.shape[1] as number;
  const stages: Stage[] = [];
  // Within the stage under construction: bounds of every node so far; replaced by stored arrays at each
  // boundary.
  const known = new Map<number, Bounds>();
  const at = (node: number): Bounds => (node === INPUT ? box : (known.get(node) as Bounds));
  const readBy = (is: (layer: Layer) => boolean) =>
    new Set(net.nodes.filter(({ layer }) => is(layer)).map(({ inputs }) => inputs[0] as number));
  const [feeds, feedsSmooth] = [readBy(isNonlinear), readBy(({ kind }) => kind === 'activation')];
  // Nodes with an activation somewhere before them: intervals are not exact there.
  const behind = new Set<number>();
  net.nodes.forEach(({ layer, inputs }, k) => {
    if (isNonlinear(layer) || inputs.some((from) => behind.has(from))) behind.add(k);
    known.set(k, intervalNode(net, parameters, k, inputs.map(at)));
    if (!feeds.has(k)) return;
    const shape = [featuresOf(layer.output), batch] as const;
    const stored = storedBounds(k, shape, dtype);
    const cheap = known.get(k) as Bounds;
    if (!behind.has(k))
      stages.push({
        kind: 'whole',
        outputs: { [boundName(k, 'lower')]: cheap.lower, [boundName(k, 'upper')]: cheap.upper },
      });
    else if (rowsApply(net, k))
      stages.push(
        ...rowStages({
          problem,
          node: k,
          rule: crownRule,
          at,
          cheap,
          refined: { lower: boundName(k, 'lower'), upper: boundName(k, 'upper') },
          all: options.all ?? false,
        }),
      );
    else {
      const tight = boundNode(net, parameters, k, box, (node) =>
        slopesOf(net, node, at((net.nodes[node] as NetworkNode).inputs[0] as number)),
      );
      const unstable = greater(neg(mul(cheap.lower, cheap.upper)), 0);
      const choose = (side: keyof Bounds) =>
        options.all ? tight[side] : where(unstable, tight[side], cheap[side]);
      // Lines of smooth activations may be above f(u) or below f(l), so that intervals are the better ones at
      // times.
      const refined = feedsSmooth.has(k)
        ? { lower: maximum(tight.lower, cheap.lower), upper: minimum(tight.upper, cheap.upper) }
        : { lower: choose('lower'), upper: choose('upper') };
      stages.push({
        kind: 'whole',
        outputs: { [boundName(k, 'lower')]: refined.lower, [boundName(k, 'upper')]: refined.upper },
      });
    }
    known.set(k, stored);
  });
  return { stages, before: (node) => at((net.nodes[node] as NetworkNode).inputs[0] as number) };
}

export function crownWith(options: CrownOptions = {}): Relaxation {
  return {
    name: 'crown',
    differentiable: true,
    bound(original): BoundResult {
      const problem = withoutNormalization(original);
      const { network: net, parameters, box, specification } = problem;
      const { stages, before } = crownBounds(problem, options);
      const rows: Tensor = specificationMargins(specification, net.classes, box.lower.dtype as FloatType);
      const bound = backSubstitute(net, parameters, net.nodes.length - 1, rows, (node) =>
        slopesOf(net, node, before(node)),
      );
      return { stages, margins: concretize(bound, box) };
    },
  };
}

export const crown: Relaxation = crownWith();
