/**
 * What operators share that are lifted to a population: a leading axis of members beside axes that broadcast
 * from the right.
 */
import { apply, type Tensor } from '../tensor.js';
import { reshape } from './layout.js';

/**
 * Lifted inputs as [members, 1, …, shape], of the rank that the result will have, so that all inputs
 * broadcast as they did without members.
 */
export function aligned(node: Tensor, inputs: readonly Tensor[], lifted: readonly boolean[]): Tensor[] {
  const rank = node.shape.length;
  return inputs.map((x, i) => {
    if (!lifted[i]) return x;
    const [members, ...shape] = x.shape as [number, ...number[]];
    return reshape(x, [members, ...new Array<number>(rank - shape.length).fill(1), ...shape]);
  });
}

/** Operators that treat each element by itself. */
export const liftElementwise = (
  node: Tensor,
  inputs: readonly Tensor[],
  lifted: readonly boolean[],
): Tensor => apply(node.operator, aligned(node, inputs, lifted), node.attributes);
