/**
 * CROWN with the rounding error of every bound taken off (`rounding-error.ts`), for many boxes at once: one
 * graph, dense, for the small networks that are split on their inputs.
 */
import { add, maximum, minimum, reshape, sub, type Tensor } from '../../graph/index.js';
import { INPUT, type NetworkNode } from '../../network/network.js';
import {
  backSubstituteBy,
  concretize,
  type LinearBound,
  throughLines,
} from '../../relaxation/linear/back-substitution.js';
import { boundBothSides } from '../../relaxation/linear/both-sides.js';
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
export function soundCrown(problem: BoundProblem, rows: Tensor, inputs?: Tensor): SoundBound {
  const { network: net, parameters, box } = problem;
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
    const { lower, upper } = boundBothSides(problem, target, (over) => bound(target, over).margins);
    const tight = { lower: maximum(lower, cheap.lower), upper: minimum(upper, cheap.upper) };
    before.set(node, tight);
    known.set(target, tight);
  });
  return bound(net.nodes.length - 1, rows, inputs);
}
