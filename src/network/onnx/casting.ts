/**
 * Cast: of constants to any type that they may have, of activations between float32 and float64, which
 * networks here do not tell apart.
 */
import type { OnnxTensor } from '../../formats/onnx.js';
import {
  type Call,
  describeValue,
  integer,
  type OperatorReader,
  refuse,
  SYMBOLIC_BATCH,
} from './operator.js';

type Data = OnnxTensor['data'];

interface Target {
  readonly name: string;
  readonly make: (values: readonly number[], data: Data) => Data;
  readonly real?: true;
}

/** Towards zero, as ONNX Runtime does. */
const whole = (values: readonly number[]): number[] => values.map(Math.trunc);

/** By the numbers of TensorProto.DataType. */
const TARGETS: ReadonlyMap<number, Target> = new Map([
  [1, { name: 'float32', make: (values) => Float32Array.from(values), real: true }],
  [2, { name: 'uint8', make: (values) => Uint8Array.from(whole(values)) }],
  [6, { name: 'int32', make: (values) => Int32Array.from(whole(values)) }],
  // Through numbers int64 would lose digits beyond 2⁵³, among them "to the end".
  [
    7,
    {
      name: 'int64',
      make: (values, data) =>
        data instanceof BigInt64Array ? data : BigInt64Array.from(whole(values), BigInt),
    },
  ],
  [9, { name: 'bool', make: (values) => Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)) }],
  [11, { name: 'float64', make: (values) => Float64Array.from(values), real: true }],
]);

function converted(call: Call, data: Data, { name, make, real }: Target): Data {
  const values = Array.from(data as ArrayLike<number | bigint>, Number);
  if (!real && !values.every(Number.isFinite))
    refuse(call, `finite numbers to make ${name} of`, `${values.find((value) => !Number.isFinite(value))}`);
  // The stand-in for the batch is exact in int64 and int32 alone.
  if (values.includes(SYMBOLIC_BATCH) && name !== 'int64' && name !== 'int32')
    refuse(call, 'shapes that stay integers', `the batch's extent as ${name}`);
  return make(values, data);
}

const cast: OperatorReader = {
  attributes: ['saturate', 'to'],
  read(call) {
    const to = integer(call, 'to', 0);
    const names = [...TARGETS.values()].map(({ name }) => name).join(', ');
    const target = TARGETS.get(to) ?? refuse(call, `one of the types ${names}`, `type ${to}`);
    const value = call.inputs[0] ?? refuse(call, 'an input', 'none');
    if (value.kind === 'constant')
      return {
        kind: 'constant',
        tensor: { ...value.tensor, data: converted(call, value.tensor.data, target) },
      };
    return target.real
      ? value
      : refuse(
          call,
          'float32 or float64 for what depends on the input',
          `${target.name} of ${describeValue(value)}`,
        );
  },
};

export const castingOperators: Readonly<Record<string, OperatorReader>> = { Cast: cast };
