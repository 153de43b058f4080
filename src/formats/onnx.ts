/**
 * ONNX models as plain data: nodes, typed attributes and constant arrays, without protobuf objects.
 *
 * Reading is strict about what could silently change a network (types, sizes, attributes), allocates no more than the bytes hold,
 * and judges no operator: which ones make sense is for the reader of the model to say. Source: the ONNX project's onnx.proto.
 */
import { gunzipSync } from 'node:zlib';
import onnxProto from 'onnx-proto';
import { FormatError } from './format-error.js';

const { onnx } = onnxProto;
const { AttributeType } = onnx.AttributeProto;

/** A constant array, row-major; the type of `data` follows the element type in the file (bool and uint8 as bytes). */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
}

export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly tensor: OnnxTensor }
  /** A kind that is not read (graphs, sparse tensors, …), by its name. */
  | { readonly other: string };

export interface OnnxNode {
  readonly opType: string;
  /** Empty for the standard operators. */
  readonly domain?: string;
  readonly name?: string;
  /** Names of values; an empty one is an optional input left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxValue {
  readonly name: string;
  /** Element type: "FLOAT", "DOUBLE", … as onnx.proto calls them. */
  readonly type: string;
  /** Extents: numbers, or names of symbolic ones ("" where nothing is said); undefined where the file gives no shape. */
  readonly shape?: readonly (number | string)[];
}

export interface OnnxModel {
  readonly irVersion: number;
  /** Version of the standard operators. */
  readonly opset: number;
  readonly producer: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly name: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
}

type TensorProto = InstanceType<typeof onnx.TensorProto>;
type AttributeProto = InstanceType<typeof onnx.AttributeProto>;
type Integer = number | { toNumber(): number };
const toNumber = (value: Integer): number => (typeof value === 'number' ? value : value.toNumber());

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
function decodeTensor(proto: TensorProto, source: string): OnnxTensor {
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

function decodeAttribute(proto: AttributeProto, source: string): OnnxAttribute {
  switch (proto.type) {
    case AttributeType.INT:
      return { int: toNumber(proto.i) };
    case AttributeType.FLOAT:
      return { float: proto.f };
    case AttributeType.STRING:
      return { string: new TextDecoder().decode(proto.s) };
    case AttributeType.INTS:
      return { ints: proto.ints.map(toNumber) };
    case AttributeType.FLOATS:
      return { floats: proto.floats };
    case AttributeType.TENSOR:
      if (!proto.t) throw new FormatError(`${source}: attribute ${proto.name}: expected a tensor, got none`);
      return { tensor: decodeTensor(proto.t as TensorProto, source) };
    default:
      return { other: AttributeType[proto.type] ?? `type ${proto.type}` };
  }
}

function decodeValue({ name, type }: InstanceType<typeof onnx.ValueInfoProto>): OnnxValue {
  const tensor = type?.tensorType;
  const dims = tensor?.shape?.dim;
  const shape = dims?.map(({ dimParam, dimValue }) => (dimParam ? dimParam : dimValue ? toNumber(dimValue) : ''));
  return { name, type: DataType[tensor?.elemType ?? 0] ?? 'UNDEFINED', ...(shape && { shape }) };
}

/** Most bytes that a compressed model may unpack to. */
const LARGEST_UNPACKED = 2 ** 30;

function unpacked(bytes: Uint8Array, source: string): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: LARGEST_UNPACKED });
  } catch (error) {
    throw new FormatError(`${source}: expected a whole gzip file of at most ${LARGEST_UNPACKED} bytes (${(error as Error).message.split('\n')[0]})`);
  }
}

/**
 * Decodes an ONNX model, gzip-compressed or not. Arrays are copies, independent of `bytes`.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError for bytes that are no ONNX model, are cut off, or whose constants do not have the size that they claim
 */
export function decodeOnnx(bytes: Uint8Array, source = 'ONNX model'): OnnxModel {
  const whole = unpacked(bytes, source);
  let proto: InstanceType<typeof onnx.ModelProto>;
  try {
    proto = onnx.ModelProto.decode(whole);
  } catch (error) {
    throw new FormatError(
      `${source}: expected an ONNX model, got ${whole.length} bytes that are none or are cut off (${(error as Error).message.split('\n')[0]})`,
    );
  }
  const graph = proto.graph as InstanceType<typeof onnx.GraphProto> | null | undefined;
  if (!graph || graph.node.length === 0) throw new FormatError(`${source}: expected an ONNX model with a graph, got ${whole.length} bytes without one`);
  if (graph.sparseInitializer.length > 0) throw new FormatError(`${source}: expected dense constants, got sparse ones`);
  const opset = proto.opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx')?.version;
  return {
    irVersion: toNumber(proto.irVersion),
    opset: opset ? toNumber(opset as Integer) : 1,
    producer: proto.producerName,
    description: proto.docString,
    metadata: Object.fromEntries(proto.metadataProps.map(({ key, value }) => [key ?? '', value ?? ''])),
    name: graph.name,
    inputs: graph.input.map((value) => decodeValue(value as InstanceType<typeof onnx.ValueInfoProto>)),
    outputs: graph.output.map((value) => decodeValue(value as InstanceType<typeof onnx.ValueInfoProto>)),
    nodes: graph.node.map((node) => ({
      opType: node.opType ?? '',
      domain: node.domain ?? '',
      name: node.name ?? '',
      inputs: node.input ?? [],
      outputs: node.output ?? [],
      attributes: Object.fromEntries((node.attribute ?? []).map((a) => [a.name ?? '', decodeAttribute(a as AttributeProto, source)])),
    })),
    initializers: graph.initializer.map((tensor) => decodeTensor(tensor as TensorProto, source)),
  };
}

function encodeTensor({ name, shape, data }: OnnxTensor) {
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

function encodeAttribute(name: string, value: OnnxAttribute) {
  if ('int' in value) return { name, type: AttributeType.INT, i: value.int };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ('string' in value) return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value.string) };
  if ('ints' in value) return { name, type: AttributeType.INTS, ints: [...value.ints] };
  if ('floats' in value) return { name, type: AttributeType.FLOATS, floats: [...value.floats] };
  if ('tensor' in value) return { name, type: AttributeType.TENSOR, t: encodeTensor(value.tensor) };
  throw new FormatError(`ONNX attribute ${name}: expected a number, text, list or tensor, got ${value.other}`);
}

const encodeValue = ({ name, type, shape }: OnnxValue) => ({
  name,
  type: {
    tensorType: {
      elemType: DataType[type as keyof typeof DataType],
      ...(shape && { shape: { dim: shape.map((extent) => (typeof extent === 'string' ? { dimParam: extent } : { dimValue: extent })) } }),
    },
  },
});

/** The bytes of a model; bytes as constants become booleans. The same model gives the same bytes. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  return onnx.ModelProto.encode(
    onnx.ModelProto.create({
      irVersion: model.irVersion,
      opsetImport: [{ domain: '', version: model.opset }],
      producerName: model.producer,
      docString: model.description,
      metadataProps: Object.entries(model.metadata).map(([key, value]) => ({ key, value })),
      graph: {
        name: model.name,
        input: model.inputs.map(encodeValue),
        output: model.outputs.map(encodeValue),
        initializer: model.initializers.map(encodeTensor),
        node: model.nodes.map(({ opType, domain, name, inputs, outputs, attributes }) => ({
          opType,
          domain: domain ?? '',
          name: name ?? '',
          input: [...inputs],
          output: [...outputs],
          attribute: Object.entries(attributes).map(([key, value]) => encodeAttribute(key, value)),
        })),
      },
    }),
  ).finish();
}
