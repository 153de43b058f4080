/**
 * A plain evaluator in float64: what every program must equal. Slow on purpose; tests hold ONNX Runtime
 * against it.
 */
import { inputName, isInput } from './operators/leaves.js';
import { GraphError, sizeOf, type Tensor, topologicalOrder } from './tensor.js';

/** Values of `outputs` given values of the inputs by name. */
export function evaluate(
  outputs: readonly Tensor[],
  feeds: Readonly<Record<string, ArrayLike<number>>>,
): Float64Array[] {
  const values = new Map<Tensor, Float64Array>();
  for (const node of topologicalOrder(outputs)) {
    if (isInput(node)) {
      const feed = feeds[inputName(node)];
      if (feed === undefined || feed.length !== sizeOf(node.shape))
        throw new GraphError(
          `evaluate: input ${inputName(node)} expects ${sizeOf(node.shape)} values, got ` +
            `${feed?.length ?? 'none'}`,
        );
      values.set(node, Float64Array.from(feed));
    } else
      values.set(
        node,
        node.operator.evaluate(
          node,
          node.inputs.map((x) => values.get(x) as Float64Array),
        ),
      );
  }
  return outputs.map((output) => values.get(output) as Float64Array);
}
