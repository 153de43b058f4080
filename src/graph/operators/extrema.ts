/** Maximum over axes. */
import { reduce, reducedShape } from '../reduce.js';
import { apply, type Operator, type Tensor } from '../tensor.js';
import { sub } from './arithmetic.js';
import { broadcastTo } from './broadcasting.js';
import { greater, where } from './comparison.js';

const maxOperator: Operator = {
  name: 'ReduceMax',
  infer: ([x], attributes) => ({
    shape: reducedShape('ReduceMax', x as Tensor, attributes.axes as number[]),
    dtype: (x as Tensor).dtype,
  }),
  encode: (node, [x], emit) => {
    const axes = node.attributes.axes as number[];
    return emit.node(
      'ReduceMax',
      [
        x as string,
        emit.constant(
          axes.map((axis) => BigInt(axis)),
          [axes.length],
        ),
      ],
      { keepdims: { int: 1 } },
    );
  },
  // At a tie every maximal entry receives the gradient; a subgradient choice only on a null set.
  gradient(node, g) {
    const x = node.inputs[0] as Tensor;
    const below = greater(sub(node, x), 0);
    return [where(below, 0, broadcastTo(g, x.shape))];
  },
  lift: (node, [x]) =>
    reduceMax(
      x as Tensor,
      (node.attributes.axes as number[]).map((axis) => axis + 1),
    ),
  evaluate: (node, [x]) => reduce(node, x as Float64Array, Number.NEGATIVE_INFINITY, Math.max),
};

/** Maximum over `axes`, each kept with extent 1. */
export const reduceMax = (x: Tensor, axes: readonly number[]): Tensor => apply(maxOperator, [x], { axes });
