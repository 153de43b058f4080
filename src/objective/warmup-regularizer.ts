/**
 * The warm-up regulariser of Shi et al. 2021 (arXiv 2103.17268) for interval bounds, averaged over the ReLU
 * layers:
 *
 * - tightness: relu(ξ − w₀/w_i)/ξ, w_i the mean width of layer i's pre-activation intervals and w₀ that of
 *   the normalised input's, which is what the first layer with weights reads;
 * - balance: relu(ξ − min(ρ, 1/ρ))/ξ for two ratios ρ of active (l > 0) to inactive (u < 0) neurons: of the
 *   sums of their interval centres, and of their squared deviations from the mean centre.
 *
 * ξ = 0.5. Its weight in training is λ·(1 − ε_t/ε).
 */
import {
  add,
  addAll,
  concat,
  constant,
  div,
  greater,
  maximum,
  minimum,
  mul,
  neg,
  relu,
  reshape,
  slice,
  sub,
  type Tensor,
  total,
  where,
} from '../graph/index.js';
import { INPUT, type Network, type Parameters } from '../network/network.js';
import { intervalBounds } from '../relaxation/interval.js';
import type { Bounds } from '../relaxation/relaxation.js';
import { markMoments } from '../runtime/plan/layer-runs.js';

const TOLERANCE = 0.5;
const TINY = 1e-12;

/** Mean of what sums up to a scalar, over so many features and the images that are present. */
const meanOf = (sum: Tensor, features: number, present: Tensor): Tensor =>
  div(sum, mul(maximum(total(present), 1), features));
/** Mean of x [features, batch] over the images that are present. */
const mean = (x: Tensor, present: Tensor): Tensor =>
  meanOf(total(mul(x, present)), x.shape[0] as number, present);
/** relu(ξ − ratio)/ξ */
const shortfall = (ratio: Tensor): Tensor => mul(relu(sub(TOLERANCE, ratio)), 1 / TOLERANCE);
/** min(a/b, b/a), at most 1; 0 where one of them is 0. */
const balance = (a: Tensor, b: Tensor): Tensor => div(minimum(a, b), maximum(maximum(a, b), TINY));

/**
 * Sums over the neurons of a layer and the images that are present: of widths; of centres of active and of
 * inactive neurons; of their squared deviations. Plans may take them from the interval kernel.
 */
function momentsOf({ lower, upper }: Bounds, present: Tensor): Tensor[] {
  const centre = mul(add(lower, upper), 0.5);
  const zero = constant(0, [], lower.dtype);
  const active = (x: Tensor) => total(mul(where(greater(lower, 0), x, zero), present));
  const inactive = (x: Tensor) => total(mul(where(greater(neg(upper), 0), x, zero), present));
  const deviation = sub(centre, mean(centre, present));
  const squared = mul(deviation, deviation);
  const sums = [
    total(mul(sub(upper, lower), present)),
    ...[active(centre), inactive(centre), active(squared), inactive(squared)],
  ];
  const moments = concat(
    sums.map((sum) => reshape(sum, [1])),
    0,
  );
  markMoments([lower, upper], present, moments);
  return sums.map((_, i) => reshape(slice(moments, 0, i, i + 1), []));
}

function layerTerm(bounds: Bounds, inputWidth: Tensor, present: Tensor): Tensor {
  const [widths, ...sums] = momentsOf(bounds, present);
  const [active, inactive, activeSquares, inactiveSquares] = sums as [Tensor, Tensor, Tensor, Tensor];
  const width = meanOf(widths as Tensor, bounds.lower.shape[0] as number, present);
  return addAll([
    shortfall(div(inputWidth, maximum(width, TINY))),
    shortfall(balance(active, neg(inactive))),
    shortfall(balance(activeSquares, inactiveSquares)),
  ]);
}

/** What the network's normalisation makes of the box; the box itself where it has none. */
function normalizedBox({ nodes }: Network, values: readonly Bounds[], box: Bounds): Bounds {
  const first = nodes.findIndex(({ inputs }) => inputs.includes(INPUT));
  return nodes[first]?.layer.name === 'normalize' ? (values[first] as Bounds) : box;
}

/**
 * The regulariser over the boxes of the images that `present` [1, batch] marks with 1 (0 for padding), a
 * scalar; 0 for networks without ReLU.
 */
export function warmupRegularizer(
  net: Network,
  parameters: Parameters,
  box: Bounds,
  present: Tensor,
): Tensor {
  const values = intervalBounds(net, parameters, box);
  const normalized = normalizedBox(net, values, box);
  const inputWidth = mean(sub(normalized.upper, normalized.lower), present);
  const terms = net.nodes.flatMap(({ layer, inputs }) =>
    layer.kind === 'relu' ? [layerTerm(values[inputs[0] as number] ?? box, inputWidth, present)] : [],
  );
  if (terms.length === 0) return constant(0, [], box.lower.dtype);
  return mul(addAll(terms), 1 / terms.length);
}
