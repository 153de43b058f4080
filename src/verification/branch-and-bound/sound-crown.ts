/**
 * CROWN with the rounding error of every bound taken off (`rounding-error.ts`), for many boxes at once: one
 * graph, dense, for the small networks that are split on their inputs.
 */
import {
  add,
  broadcastTo,
  constant,
  type FloatType,
  maximum,
  minimum,
  neg,
  reshape,
  slice,
  sub,
  type Tensor,
} from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type NetworkNode } from '../../network/network.js';
import {
  backSubstituteBy,
  concretize,
  type LinearBound,
  throughLines,
} from '../../relaxation/linear/back-substitution.js';
import { isNonlinear, slopesOf } from '../../relaxation/linear/nonlinear.js';
import type { BoundProblem, Bounds } from '../../relaxation/relaxation.js';
import { errorOf, magnitudes, soundInterval } from './rounding-error.js';

export interface SoundBound {
  /** Of the linear bound, [inputs, rows · batch]. */
  readonly coefficients: Tensor;
  /** Lower bounds [rows, batch]. */
  readonly margins: Tensor;
}

/**
 * Lower bounds of rows [outputs, rows, batch], plus `inputs` [inputs, rows · batch] on the input, over each
 * box of the problem.
 */
export function soundCrown(
  { network: net, parameters, box }: BoundProblem,
  rows: Tensor,
  inputs?: Tensor,
): SoundBound {
  const batch = box.lower.shape[1] as number;
  const before = new Map<number, Bounds>();
  const known = new Map<number, Bounds>([[INPUT, box]]);
  const read = (nonlinear: number) => before.get(nonlinear) as Bounds;
  const sizes = magnitudes(net, parameters, box, read);
  const at = (node: number): Bounds => {
    const found =
      known.get(node) ??
      soundInterval(net, parameters, node, (net.nodes[node] as NetworkNode).inputs.map(at), sizes);
    known.set(node, found);
    return found;
  };
  const bound = (target: number, over: Tensor, onInputs?: Tensor): SoundBound => {
    const count = over.shape[1] as number;
    const error = errorOf(net, sizes, count, batch);
    const lines = (node: number, a: Tensor) => throughLines(slopesOf(net, node, read(node)), a, count, batch);
    const found: LinearBound = backSubstituteBy(net, parameters, target, over, lines, error.visit);
    if (onInputs !== undefined) error.visit(INPUT, onInputs);
    const coefficients = onInputs === undefined ? found.coefficients : add(found.coefficients, onInputs);
    if (onInputs !== undefined) error.visit(INPUT, coefficients);
    return {
      coefficients,
      margins: sub(concretize({ ...found, coefficients }, box), reshape(error.total(), [count, batch])),
    };
  };
  net.nodes.forEach(({ layer, inputs: from }, node) => {
    if (!isNonlinear(layer)) return;
    const target = from[0] as number;
    const cheap = at(target);
    if (before.size === 0) {
      before.set(node, cheap); // intervals are exact there
      return;
    }
    const features = featuresOf(layer.input);
    const both = bound(target, signedIdentity(features, batch, box.lower.dtype as FloatType)).margins;
    const tight = {
      lower: maximum(slice(both, 0, 0, features), cheap.lower),
      upper: minimum(neg(slice(both, 0, features, 2 * features)), cheap.upper),
    };
    before.set(node, tight);
    known.set(target, tight);
  });
  return bound(net.nodes.length - 1, rows, inputs);
}

/** Rows e_i, then −e_i, for each box: [features, 2 · features, batch]. */
function signedIdentity(features: number, batch: number, dtype: FloatType): Tensor {
  const rows = new Float64Array(2 * features * features);
  for (let i = 0; i < features; i++) {
    rows[i * 2 * features + i] = 1;
    rows[i * 2 * features + features + i] = -1;
  }
  return broadcastTo(constant(rows, [features, 2 * features, 1], dtype), [features, 2 * features, batch]);
}
