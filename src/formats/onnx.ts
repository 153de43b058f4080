/**
 * ONNX models as plain data: nodes, typed attributes and constant arrays, without protobuf objects.
 *
 * Reading is strict about what could silently change a network (types, sizes, attributes), allocates no more than the bytes hold,
 * and judges no operator: which ones make sense is for the reader of the model to say. Source: the ONNX project's onnx.proto.
 */
import onnxProto from 'onnx-proto';
import { FormatError } from './format-error.js';
import { gunzipped } from './gzip.js';
import { decodeTensor, encodeTensor, type Integer, type OnnxTensor, type TensorProto, toNumber } from './onnx-tensor.js';

export type { OnnxTensor } from './onnx-tensor.js';

const { onnx } = onnxProto;
const { AttributeType } = onnx.AttributeProto;
const { DataType } = onnx.TensorProto;

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

type AttributeProto = InstanceType<typeof onnx.AttributeProto>;

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

/**
 * Decodes an ONNX model, gzip-compressed or not. Arrays are copies, independent of `bytes`.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError for bytes that are no ONNX model, are cut off, or whose constants do not have the size that they claim
 */
export function decodeOnnx(bytes: Uint8Array, source = 'ONNX model'): OnnxModel {
  const whole = gunzipped(bytes, source);
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
