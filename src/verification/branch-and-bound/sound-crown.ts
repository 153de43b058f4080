/**
 * IBP and CROWN with the rounding error of every bound taken off (`rounding-error.ts`), for many boxes at
 * once: one graph, dense; CROWN for the small networks that are split on their inputs.
 */
import { add, addAll, maximum, minimum, reshape, sub, type Tensor } from '../../graph/index.js';
import { INPUT, type NetworkNode } from '../../network/network.js';
import {
  backSubstituteBy,
  concretize,
  type Front,
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

/** What bounds of hidden neurons are, and what is known of every node. */
interface Enclosure {
  readonly sizes: (node: number) => Tensor;
  /** Bounds of what nonlinear nodes read. */
  readonly before: Map<number, Bounds>;
  /** Bounds of node outputs: intervals, where nothing better is known. */
  readonly known: Map<number, Bounds>;
  at(node: number): Bounds;
}

function enclosure({ network: net, parameters, box }: BoundProblem): Enclosure {
  const before = new Map<number, Bounds>();
  const known = new Map<number, Bounds>([[INPUT, box]]);
  const sizes = magnitudes(net, parameters, box, (node) => before.get(node) as Bounds);
  const at = (node: number): Bounds => {
    const found =
      known.get(node) ??
      soundInterval(net, parameters, node, (net.nodes[node] as NetworkNode).inputs.map(at), sizes);
    known.set(node, found);
    return found;
  };
  return { sizes, before, known, at };
}

/**
 * Lower bounds of rows [outputs, rows, batch], plus `inputs` [inputs, rows · batch] on the input, over each
 * box of the problem.
 */
export function soundCrown(problem: BoundProblem, rows: Tensor, inputs?: Tensor): SoundBound {
  const { network: net, parameters, box } = problem;
  const batch = box.lower.shape[1] as number;
  const { sizes, before, known, at } = enclosure(problem);
  const read = (nonlinear: number) => before.get(nonlinear) as Bounds;
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

/**
 * Lower bounds of rows [outputs, rows, batch] whose hidden bounds are intervals: `ibp` with the last affine
 * layers merged into the rows, `crownIbp` the best of one back-substitution at each activation on its way, of
 * which `ibp` is the first, and at the input; [rows, batch] each.
 */
export function soundIntervalBounds(
  problem: BoundProblem,
  rows: Tensor,
): { readonly ibp: Tensor; readonly crownIbp: Tensor } {
  const { network: net, parameters, box } = problem;
  const [, count, batch] = rows.shape as [number, number, number];
  const { sizes, before, at } = enclosure(problem);
  net.nodes.forEach(({ layer, inputs }, node) => {
    if (isNonlinear(layer)) before.set(node, at(inputs[0] as number));
  });
  const error = errorOf(net, sizes, count, batch);
  const lines = (node: number, a: Tensor) =>
    throughLines(slopesOf(net, node, before.get(node) as Bounds), a, count, batch);
  const found: Tensor[] = [];
  const meet = (front: Front, constant: Tensor | undefined) => {
    const sums = [...front].map(([node, coefficients], i) =>
      concretize({ coefficients, constant: i === 0 ? constant : undefined }, at(node)),
    );
    // The rows of the first node have been visited.
    const total = error.with([...front].slice(1));
    found.push(sub(addAll(sums), reshape(total, [count, batch])));
  };
  const bound = backSubstituteBy(net, parameters, net.nodes.length - 1, rows, lines, error.visit, meet);
  found.push(sub(concretize(bound, box), reshape(error.total(), [count, batch])));
  return { ibp: found[0] as Tensor, crownIbp: found.reduce((a, b) => maximum(a, b)) };
}
