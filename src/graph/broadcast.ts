import { fail, type Shape, type Tensor } from './tensor.js';

/** The common shape under NumPy's rule; undefined when an axis neither matches nor is 1. */
export function commonShape(shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(...shapes.map(({ length }) => length));
  const common = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (const [i, extent] of shape.entries()) {
      const axis = rank - shape.length + i;
      if (common[axis] === 1) common[axis] = extent;
      else if (extent !== 1 && extent !== common[axis]) return undefined;
    }
  }
  return common;
}

/** The common shape of an operator's inputs; throws where they have none. */
export const broadcastShapes = (operator: string, inputs: readonly Tensor[]): Shape =>
  commonShape(inputs.map(({ shape }) => shape)) ?? fail(operator, 'shapes that broadcast', inputs);

/** Whether broadcasting `from` with `to` gives `to`. */
export const broadcastsInto = (from: Shape, to: Shape): boolean =>
  from.length <= to.length &&
  from.every((extent, i) => extent === 1 || extent === to[to.length - from.length + i]);

/** Row-major strides with 0 where an axis is broadcast, aligned to the rank of `to`. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const strides = new Array<number>(to.length).fill(0);
  let stride = 1;
  for (let i = from.length - 1; i >= 0; i--) {
    const extent = from[i] as number;
    if (extent !== 1) strides[to.length - from.length + i] = stride;
    stride *= extent;
  }
  return strides;
}

/** Calls `visit(flat output index, flat index into each input)` over the whole of `shape`. */
export function forEachBroadcast(
  shape: Shape,
  inputs: readonly Shape[],
  visit: (index: number, offsets: readonly number[]) => void,
): void {
  const strides = inputs.map((input) => broadcastStrides(input, shape));
  const size = shape.reduce((a, b) => a * b, 1);
  const offsets = new Array<number>(inputs.length).fill(0);
  const position = new Array<number>(shape.length).fill(0);
  for (let index = 0; index < size; index++) {
    visit(index, offsets);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position[axis] = (position[axis] as number) + 1;
      for (let k = 0; k < offsets.length; k++)
        offsets[k] = (offsets[k] as number) + ((strides[k] as number[])[axis] as number);
      if ((position[axis] as number) < (shape[axis] as number)) break;
      for (let k = 0; k < offsets.length; k++)
        offsets[k] =
          (offsets[k] as number) - ((strides[k] as number[])[axis] as number) * (shape[axis] as number);
      position[axis] = 0;
    }
  }
}
