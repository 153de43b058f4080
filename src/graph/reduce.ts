/** Shape rule and reference evaluation that all reductions share. */
import { fail, type Shape, sizeOf, type Tensor } from './tensor.js';

/** The shape with `axes` reduced to extent 1. */
export const reducedShape = (name: string, x: Tensor, axes: readonly number[]): Shape => {
  if (axes.some((axis) => axis < 0 || axis >= x.shape.length))
    fail(name, `axes ${axes.join(',')} within the rank`, [x]);
  return x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
};

/** Folds every entry into the output entry that its kept axes select. */
export function reduce(
  node: Tensor,
  x: Float64Array,
  initial: number,
  combine: (a: number, b: number) => number,
): Float64Array {
  const from = (node.inputs[0] as Tensor).shape;
  const out = new Float64Array(sizeOf(node.shape)).fill(initial);
  const strides = node.shape.map((extent, i) => (extent === 1 ? 0 : sizeOf(node.shape.slice(i + 1))));
  x.forEach((value, index) => {
    let rest = index;
    let offset = 0;
    for (let axis = from.length - 1; axis >= 0; axis--) {
      offset += (rest % (from[axis] as number)) * (strides[axis] as number);
      rest = Math.floor(rest / (from[axis] as number));
    }
    out[offset] = combine(out[offset] as number, value);
  });
  return out;
}
