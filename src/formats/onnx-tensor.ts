/** Constant arrays of ONNX models: TensorProto to and from typed arrays, raw or in typed fields. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FormatError } from './format-error.js';
import { ELEMENT_TYPES, EXTERNAL, TENSOR } from './onnx-schema.js';
import {
  bytesField,
  doubleList,
  floatList,
  integerField,
  integerList,
  readFields,
  textField,
} from './protobuf.js';

/**
 * A constant array, row-major; the type of `data` follows the element type in the file (bool and uint8 as
 * bytes).
 */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
}

type Data = OnnxTensor['data'];

/** Most axes of an array; more are no tensor's. */
const LARGEST_RANK = 32;

/** The typed fields of a message. */
interface TypedFields {
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  readonly int32s: BigInt64Array;
  readonly int64s: BigInt64Array;
}

interface ElementType {
  readonly width: number;
  /** From raw little-endian bytes, aligned. */
  raw(bytes: ArrayBuffer): Data;
  /** Which typed field holds the values, and those as an array of this type. */
  field(fields: TypedFields): TypedFields[keyof TypedFields];
  typed(fields: TypedFields): Data;
}

const asBytes: Omit<ElementType, 'width'> = {
  raw: (bytes) => new Uint8Array(bytes),
  field: ({ int32s }) => int32s,
  typed: ({ int32s }) => Uint8Array.from(int32s, Number),
};
const ELEMENTS: Readonly<Partial<Record<string, ElementType>>> = {
  FLOAT: {
    width: 4,
    raw: (bytes) => new Float32Array(bytes),
    field: ({ floats }) => floats,
    typed: ({ floats }) => floats,
  },
  DOUBLE: {
    width: 8,
    raw: (bytes) => new Float64Array(bytes),
    field: ({ doubles }) => doubles,
    typed: ({ doubles }) => doubles,
  },
  INT32: {
    width: 4,
    raw: (bytes) => new Int32Array(bytes),
    field: ({ int32s }) => int32s,
    typed: ({ int32s }) => Int32Array.from(int32s, Number),
  },
  INT64: {
    width: 8,
    raw: (bytes) => new BigInt64Array(bytes),
    field: ({ int64s }) => int64s,
    typed: ({ int64s }) => int64s,
  },
  BOOL: { width: 1, ...asBytes },
  UINT8: { width: 1, ...asBytes },
};

/**
 * Reads a constant, believing its extents only as far as there is data for them. @throws FormatError, or
 * Error for a damaged message
 */
export function decodeTensor(message: Uint8Array, source: string): OnnxTensor {
  let [name, dataType, external] = ['', 0, false];
  let raw: Uint8Array = new Uint8Array();
  const [dims, floats, doubles, int32s, int64s] = [
    integerList(),
    floatList(),
    doubleList(),
    integerList(),
    integerList(),
  ];
  readFields(message, {
    [TENSOR.name]: textField((value) => (name = value)),
    [TENSOR.dataType]: integerField((value) => (dataType = value)),
    [TENSOR.dims]: dims.field,
    [TENSOR.floatData]: floats.field,
    [TENSOR.doubleData]: doubles.field,
    [TENSOR.int32Data]: int32s.field,
    [TENSOR.int64Data]: int64s.field,
    [TENSOR.rawData]: bytesField((value) => (raw = value)),
    [TENSOR.externalData]: bytesField(() => (external = true)),
    [TENSOR.dataLocation]: integerField((value) => (external = external || value === EXTERNAL)),
  });
  const bad = (expected: string, got: unknown) =>
    new FormatError(`${source}: constant "${name}": expected ${expected}, got ${got}`);
  const type = ELEMENTS[ELEMENT_TYPES[dataType] ?? ''];
  if (type === undefined)
    throw bad(
      'float32, float64, int32, int64, uint8 or bool values',
      ELEMENT_TYPES[dataType] ?? `element type ${dataType}`,
    );
  if (external)
    throw bad(
      'its values inside the file',
      'a reference to another file; save the model with its data inside',
    );
  const shape = Array.from(dims.values(), Number);
  if (shape.length > LARGEST_RANK) throw bad(`at most ${LARGEST_RANK} axes`, shape.length);
  if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0))
    throw bad('extents ≥ 0', `[${shape.join(',')}]`);
  const size = shape.includes(0) ? 0 : shape.reduce((product, extent) => product * extent, 1);
  if (raw.length > 0) {
    if (raw.length !== size * type.width)
      throw bad(`${size * type.width} bytes for shape [${shape.join(',')}]`, raw.length);
    // A copy: where the bytes are a Buffer, its slice would be none.
    return { name, shape, data: type.raw(new Uint8Array(raw).buffer) };
  }
  const fields = {
    floats: floats.values(),
    doubles: doubles.values(),
    int32s: int32s.values(),
    int64s: int64s.values(),
  };
  const { length } = type.field(fields);
  if (length !== size) throw bad(`${size} values for shape [${shape.join(',')}]`, length);
  return { name, shape, data: type.typed(fields) };
}

function elementTypeOf(data: Data): (typeof ELEMENT_TYPES)[number] {
  if (data instanceof Float32Array) return 'FLOAT';
  if (data instanceof Float64Array) return 'DOUBLE';
  if (data instanceof Int32Array) return 'INT32';
  return data instanceof BigInt64Array ? 'INT64' : 'BOOL';
}

/** Writes the fields of a constant; bytes become booleans. */
export function writeTensor(writer: BinaryWriter, { name, shape, data }: OnnxTensor): void {
  writer.tag(TENSOR.dims, WireType.LengthDelimited).fork();
  for (const extent of shape) writer.int64(extent);
  writer.join();
  writer.tag(TENSOR.dataType, WireType.Varint).int32(ELEMENT_TYPES.indexOf(elementTypeOf(data)));
  writer.tag(TENSOR.name, WireType.LengthDelimited).string(name);
  writer
    .tag(TENSOR.rawData, WireType.LengthDelimited)
    .bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** A tensor as bytes of its own, a TensorProto; `decodeTensor` reads them. */
export function encodeTensor(tensor: OnnxTensor): Uint8Array {
  const writer = new BinaryWriter();
  writeTensor(writer, tensor);
  return writer.finish();
}
