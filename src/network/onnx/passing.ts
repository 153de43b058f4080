/** Operators that compute nothing: they name a constant, pass a value on, or only reshape each image. */
import type { OnnxTensor } from '../../formats/onnx.js';
import { type Activation, sizeOf } from './draft.js';
import { activation, type Call, constant, describeValue, integer, type OperatorReader, refuse } from './operator.js';

const flattening: OperatorReader = {
  attributes: ['axis'],
  read(call) {
    const x = activation(call);
    const given = integer(call, 'axis', 1);
    const axis = given < 0 ? given + x.shape.length + 1 : given;
    // Axes before `axis` join the batch, which only those of extent 1 can do.
    if (axis < 1 || axis > x.shape.length + 1 || sizeOf(x.shape.slice(0, axis - 1)) !== 1)
      refuse(call, 'to keep the batch axis', `axis ${given} of ${describeValue(x)}`);
    return { ...x, shape: [sizeOf(x.shape)] };
  },
};

/** Extents of one image after a Reshape to `target`, or undefined if it would mix images or change their size. */
function reshapedExtents({ shape }: Activation, target: readonly number[], batch: number | undefined, zeroCopies: boolean): number[] | undefined {
  const [first, ...rest] = target;
  if (rest.length === 0) return undefined;
  // A model traced with one image may say 1 where it means the batch.
  if (!((first === 0 && zeroCopies) || first === -1 || first === (batch ?? 1))) return undefined;
  const extents = rest.map((extent, i) => (extent === 0 && zeroCopies ? (shape[i] ?? Number.NaN) : extent));
  const open = extents.indexOf(-1);
  if (open >= 0) {
    if (first === -1) return undefined;
    extents[open] = 1;
    extents[open] = sizeOf(shape) / sizeOf(extents);
  }
  return extents.every((extent) => Number.isSafeInteger(extent) && extent >= 1) && sizeOf(extents) === sizeOf(shape) ? extents : undefined;
}

const reshaping: OperatorReader = {
  attributes: ['allowzero'],
  read(call) {
    const x = activation(call);
    const { data } = constant(call, 1);
    const target = Array.from(data as ArrayLike<number | bigint>, Number);
    const shape = reshapedExtents(x, target, call.batch, integer(call, 'allowzero', 0) === 0);
    return shape ? { ...x, shape } : refuse(call, `a reshape that keeps the batch and each image's ${sizeOf(x.shape)} values`, `[${target.join(',')}]`);
  },
};

const identity: OperatorReader = {
  attributes: [],
  read: (call) => call.inputs[0] ?? refuse(call, 'an input', 'none'),
};

const dropout: OperatorReader = {
  attributes: ['ratio', 'seed', 'is_test'],
  read(call) {
    if (call.inputs[2] !== undefined && constant(call, 2).data[0]) refuse(call, 'inference', 'training mode; export the model in evaluation mode');
    return activation(call);
  },
};

const constantNode: OperatorReader = {
  attributes: ['value', 'value_float', 'value_floats', 'value_int', 'value_ints'],
  read(call) {
    const [attribute, ...others] = Object.values(call.node.attributes);
    if (attribute === undefined || others.length > 0) refuse(call, 'one value', `${Object.keys(call.node.attributes).length}`);
    return { kind: 'constant', tensor: constantTensor(call, attribute) };
  },
};

function constantTensor(call: Call, attribute: Call['node']['attributes'][string]): OnnxTensor {
  const name = call.node.outputs[0] ?? '';
  if ('tensor' in attribute) return { ...attribute.tensor, name };
  if ('float' in attribute) return { name, shape: [], data: Float32Array.of(attribute.float) };
  if ('floats' in attribute) return { name, shape: [attribute.floats.length], data: Float32Array.from(attribute.floats) };
  if ('int' in attribute) return { name, shape: [], data: BigInt64Array.of(BigInt(attribute.int)) };
  if ('ints' in attribute) return { name, shape: [attribute.ints.length], data: BigInt64Array.from(attribute.ints, BigInt) };
  return refuse(call, 'numbers', Object.keys(attribute).join());
}

export const passingOperators: Readonly<Record<string, OperatorReader>> = {
  Flatten: flattening,
  Reshape: reshaping,
  Identity: identity,
  Dropout: dropout,
  Constant: constantNode,
};
