/** Reverse-mode differentiation: the gradient of a graph is a graph of the same operators. */
import { add, addAll } from './operators/arithmetic.js';
import { constant, zeros } from './operators/leaves.js';
import { describe, GraphError, isFloat, sameShape, type Tensor, topologicalOrder } from './tensor.js';

/**
 * Vector–Jacobian products: for outputs y_k with cotangents c_k, Σ_k c_kᵀ ∂y_k/∂x for every x in `inputs`.
 * Inputs that no output depends on get zeros. Cotangents have their outputs' shapes.
 */
export function vectorJacobian(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  inputs: readonly Tensor[],
): Tensor[] {
  outputs.forEach((output, k) => {
    const cotangent = cotangents[k] as Tensor;
    if (!sameShape(output.shape, cotangent.shape))
      throw new GraphError(
        `gradient: expected a cotangent like its output, got ${describe([output, cotangent])}`,
      );
  });
  const order = topologicalOrder(outputs);
  const needed = new Set<Tensor>(inputs);
  for (const node of order) if (node.inputs.some((x) => needed.has(x))) needed.add(node);

  const terms = new Map<Tensor, Tensor[]>();
  const contribute = (node: Tensor, term: Tensor | undefined) => {
    if (term === undefined || !needed.has(node) || !isFloat(node.dtype)) return;
    const list = terms.get(node);
    if (list) list.push(term);
    else terms.set(node, [term]);
  };
  const collected = (node: Tensor): Tensor | undefined => {
    const list = terms.get(node);
    return list && (list.length < 3 ? list.reduce(add) : addAll(list));
  };
  for (const [k, output] of outputs.entries()) contribute(output, cotangents[k] as Tensor);
  const wanted = new Set(inputs);
  const result = new Map<Tensor, Tensor>();
  for (const node of order.reverse()) {
    if (!needed.has(node)) continue;
    const g = collected(node);
    if (g === undefined) continue;
    if (wanted.has(node)) result.set(node, g);
    if (node.inputs.length === 0) continue;
    if (node.operator.gradient === undefined)
      throw new GraphError(`gradient: the operator ${node.operator.name} has no derivative`);
    const parts = node.operator.gradient(node, g);
    for (const [i, x] of node.inputs.entries()) contribute(x, parts[i]);
  }
  return inputs.map((x) => result.get(x) ?? zeros(x.shape, x.dtype));
}

/** ∂(scalar)/∂x for every x in `inputs`. */
export function gradient(scalar: Tensor, inputs: readonly Tensor[]): Tensor[] {
  if (scalar.shape.length !== 0)
    throw new GraphError(`gradient: expected a scalar, got ${describe([scalar])}`);
  return vectorJacobian([scalar], [constant(1, [], scalar.dtype)], inputs);
}
