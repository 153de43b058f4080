/** Intervals through an affine layer, which are exact. */
import { add, mul, sub } from '../graph/index.js';
import type { AffineLayer, Weights } from '../network/layers/layer.js';
import type { Bounds } from './relaxation.js';

/** Halves the linear part and leaves the bias. */
export const halved = (weights: Weights): Weights =>
  weights.weight ? { ...weights, weight: mul(weights.weight, 0.5) } : weights;

/** Interval of an affine layer's output, in centre–radius form. */
export function intervalAffine(layer: AffineLayer, weights: Weights, { lower, upper }: Bounds): Bounds {
  const twice = layer.parameters.length === 0; // a layer without weights cannot take the halving
  const scaled = halved(weights);
  const centre = layer.apply(scaled, twice ? mul(add(lower, upper), 0.5) : add(lower, upper));
  const radius = layer.linear(
    layer.absolute(scaled),
    twice ? mul(sub(upper, lower), 0.5) : sub(upper, lower),
  );
  return { lower: sub(centre, radius), upper: add(centre, radius) };
}
