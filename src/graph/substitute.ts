/** Graphs with some of their nodes replaced. */
import { apply, type Tensor, topologicalOrder } from './tensor.js';

/**
 * The same outputs computed from replacements of the same shapes and types; what only fed a replaced node is
 * gone.
 */
export function substitute(outputs: readonly Tensor[], replacements: ReadonlyMap<Tensor, Tensor>): Tensor[] {
  if (replacements.size === 0) return [...outputs];
  const made = new Map<Tensor, Tensor>(replacements);
  for (const node of topologicalOrder(outputs)) {
    if (made.has(node)) continue;
    const inputs = node.inputs.map((x) => made.get(x) as Tensor);
    made.set(
      node,
      inputs.every((x, i) => x === node.inputs[i]) ? node : apply(node.operator, inputs, node.attributes),
    );
  }
  return outputs.map((output) => made.get(output) as Tensor);
}
