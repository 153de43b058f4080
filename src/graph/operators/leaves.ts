/** What graphs are made from: named inputs and constants. */
import {
  type Attributes,
  apply,
  type DType,
  GraphError,
  type HostData,
  hostArray,
  isFloat,
  type Operator,
  type Shape,
  sizeOf,
  type Tensor,
} from '../tensor.js';

const inputOperator: Operator = {
  name: 'Input',
  infer: (_, attributes) => ({ shape: attributes.shape as Shape, dtype: attributes.dtype as DType }),
  encode: (node) => node.attributes.name as string,
  evaluate: (node) => {
    throw new GraphError(`Input ${node.attributes.name}: no value was given for it`);
  },
};

const constantOperator: Operator = {
  name: 'Constant',
  infer: (_, attributes) => ({ shape: attributes.shape as Shape, dtype: attributes.dtype as DType }),
  encode: (node, _, emit) => emit.constant(node.attributes.data as HostData, node.shape),
  evaluate: (node) => Float64Array.from(node.attributes.data as HostData),
};

/** A value given at each run, by name. */
export const input = (name: string, shape: Shape, dtype: DType = 'float32'): Tensor =>
  apply(inputOperator, [], { name, shape, dtype });

export const isInput = (tensor: Tensor): boolean => tensor.operator === inputOperator;
export const isConstant = (tensor: Tensor): boolean => tensor.operator === constantOperator;
export const inputName = (tensor: Tensor): string => tensor.attributes.name as string;
export const constantData = (tensor: Tensor): HostData => tensor.attributes.data as HostData;

/** A value fixed when the graph is built. `data` may be a number (shape []), an array, or a typed array. */
export function constant(
  data: number | readonly number[] | HostData,
  shape?: Shape,
  dtype: DType = 'float32',
): Tensor {
  const values = typeof data === 'number' ? [data] : data;
  const resolved = shape ?? (typeof data === 'number' ? [] : [values.length]);
  if (sizeOf(resolved) !== values.length)
    throw new GraphError(
      `Constant: expected ${sizeOf(resolved)} values for shape [${resolved.join(',')}], got ${values.length}`,
    );
  const array = hostArray(dtype, values.length);
  array.set(values as ArrayLike<number>);
  const attributes: Attributes = { data: array, shape: resolved, dtype };
  return apply(constantOperator, [], attributes);
}

/** `value` as a tensor: numbers become scalars of `like`'s type. */
export const asTensor = (value: Tensor | number, like: Tensor): Tensor =>
  typeof value === 'number' ? constant(value, [], isFloat(like.dtype) ? like.dtype : 'float32') : value;

/** The scalar that a constant holds in every place, or undefined. */
export function uniformValue(tensor: Tensor): number | undefined {
  if (!isConstant(tensor)) return undefined;
  const data = constantData(tensor);
  const first = data[0];
  for (let i = 1; i < data.length; i++) if (data[i] !== first) return undefined;
  return first;
}

/** A tensor of zeros. */
export const zeros = (shape: Shape, dtype: DType = 'float32'): Tensor =>
  constant(hostArray(dtype, sizeOf(shape)), shape, dtype);
/** A tensor of ones. */
export const ones = (shape: Shape, dtype: DType = 'float32'): Tensor =>
  constant(hostArray(dtype, sizeOf(shape)).fill(1), shape, dtype);
