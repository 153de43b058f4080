/** Constant arrays of ONNX models: TensorProto to and from typed arrays, raw or in typed fields. */
import onnxProto from 'onnx-proto';
import { FormatError } from './format-error.js';

const { onnx } = onnxProto;

/** A constant array, row-major; the type of `data` follows the element type in the file (bool and uint8 as bytes). */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
}

export type TensorProto = InstanceType<typeof onnx.TensorProto>;
/** An int64 of a protobuf message. */
export type Integer = number | { toNumber(): number };
export const toNumber = (value: Integer): number => (typeof value === 'number' ? value : value.toNumber());

/** An int64 whose wire form is a JavaScript BigInt array. */
const bigInts = (values: readonly Integer[]): BigInt64Array => BigInt64Array.from(values, (v) => BigInt(String(v)));

interface ElementType {
  readonly width: number;
  /** From raw little-endian bytes, aligned. */
  raw(bytes: ArrayBuffer): OnnxTensor['data'];
  /** How many values the typed field holds, and those values. */
  typed(proto: TensorProto): { length: number; read(): OnnxTensor['data'] };
}
const element = (width: number, raw: ElementType['raw'], field: (proto: TensorProto) => ArrayLike<unknown>, read: (values: never) => OnnxTensor['data']) => ({
  width,
  raw,
  typed: (proto: TensorProto) => {
    const values = field(proto);
    return { length: values.length, read: () => read(values as never) };
  },
});
const { DataType } = onnx.TensorProto;
const int32Data = (proto: TensorProto) => proto.int32Data;
const ELEMENTS: ReadonlyMap<number, ElementType> = new Map<number, ElementType>([
  [
    DataType.FLOAT,
    element(
      4,
      (b) => new Float32Array(b),
      (p) => p.floatData,
      (v: number[]) => Float32Array.from(v),
    ),
  ],
  [
    DataType.DOUBLE,
    element(
      8,
      (b) => new Float64Array(b),
      (p) => p.doubleData,
      (v: number[]) => Float64Array.from(v),
    ),
  ],
  [
    DataType.INT32,
    element(
      4,
      (b) => new Int32Array(b),
      int32Data,
      (v: number[]) => Int32Array.from(v),
    ),
  ],
  [
    DataType.INT64,
    element(
      8,
      (b) => new BigInt64Array(b),
      (p) => p.int64Data,
      bigInts,
    ),
  ],
  [
    DataType.BOOL,
    element(
      1,
      (b) => new Uint8Array(b),
      int32Data,
      (v: number[]) => Uint8Array.from(v),
    ),
  ],
  [
    DataType.UINT8,
    element(
      1,
      (b) => new Uint8Array(b),
      int32Data,
      (v: number[]) => Uint8Array.from(v),
    ),
  ],
]);

/** Reads a constant, believing its extents only as far as there is data for them. */
export function decodeTensor(proto: TensorProto, source: string): OnnxTensor {
  const bad = (expected: string, got: unknown) => new FormatError(`${source}: constant "${proto.name}": expected ${expected}, got ${got}`);
  const type = ELEMENTS.get(proto.dataType);
  if (type === undefined) throw bad('float32, float64, int32, int64, uint8 or bool values', DataType[proto.dataType] ?? `element type ${proto.dataType}`);
  if (proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL || proto.externalData.length > 0)
    throw bad('its values inside the file', 'a reference to another file; save the model with its data inside');
  const shape = proto.dims.map(toNumber);
  if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) throw bad('extents ≥ 0', `[${shape.join(',')}]`);
  const size = shape.includes(0) ? 0 : shape.reduce((product, extent) => product * extent, 1);
  if (proto.rawData.length > 0) {
    if (proto.rawData.length !== size * type.width) throw bad(`${size * type.width} bytes for shape [${shape.join(',')}]`, proto.rawData.length);
    return { name: proto.name, shape, data: type.raw(Uint8Array.from(proto.rawData).buffer) };
  }
  const typed = type.typed(proto);
  if (typed.length !== size) throw bad(`${size} values for shape [${shape.join(',')}]`, typed.length);
  return { name: proto.name, shape, data: typed.read() };
}

/** The message of a constant; bytes become booleans. */
export function encodeTensor({ name, shape, data }: OnnxTensor) {
  const dataType =
    data instanceof Float32Array
      ? DataType.FLOAT
      : data instanceof Float64Array
        ? DataType.DOUBLE
        : data instanceof Int32Array
          ? DataType.INT32
          : data instanceof BigInt64Array
            ? DataType.INT64
            : DataType.BOOL;
  return { name, dims: [...shape], dataType, rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
