/**
 * ONNX models as plain data: nodes, typed attributes and constant arrays, without protobuf objects.
 *
 * Reading is strict about what could silently change a network (types, sizes, attributes), allocates no more
 * than the bytes hold, and follows nothing that networks do not have: subgraphs of attributes are named, not
 * read, so that they may nest as they like. It judges no operator: which ones make sense is for the reader of
 * the model to say. Source: the ONNX project's onnx.proto.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FormatError } from './format-error.js';
import { gunzipped } from './gzip.js';
import * as schema from './onnx-schema.js';
import { decodeTensor, type OnnxTensor, writeTensor } from './onnx-tensor.js';
import {
  type Budget,
  bytesField,
  type Fields,
  floatField,
  floatList,
  integerField,
  integerList,
  readFields,
  spend,
  textField,
} from './protobuf.js';

export type { OnnxTensor } from './onnx-tensor.js';

/** The value of an operator's attribute, by its kind. */
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

/** An input or output of a model: its name, element type and extents. */
export interface OnnxValue {
  readonly name: string;
  /** Element type: "FLOAT", "DOUBLE", … as onnx.proto calls them. */
  readonly type: string;
  /**
   * Extents: numbers, or names of symbolic ones ("" where nothing is said); undefined where the file gives no
   * shape.
   */
  readonly shape?: readonly (number | string)[];
}

/** A model file as plain data: the graph in topological order, and its constants. */
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

/**
 * Most nodes, names, attributes and extents of one file together: a few hundred bytes of memory each, and of
 * a file two.
 */
const MOST_PARTS = 2 ** 18;

/** What reading one file carries along. */
interface Reading {
  readonly source: string;
  readonly budget: Budget;
}

/** Reads the fields of a message, one part of the file. */
function fieldsOf({ budget }: Reading, message: Uint8Array, fields: Fields): void {
  spend(budget);
  readFields(message, fields);
}

function readAttribute(reading: Reading, message: Uint8Array): [name: string, value: OnnxAttribute] {
  let [name, type, int, float] = ['', 0, 0, 0];
  let text: Uint8Array = new Uint8Array();
  let tensor: Uint8Array | undefined;
  const [ints, floats] = [integerList(), floatList()];
  const { ATTRIBUTE } = schema;
  fieldsOf(reading, message, {
    [ATTRIBUTE.name]: textField((value) => (name = value)),
    [ATTRIBUTE.type]: integerField((value) => (type = value)),
    [ATTRIBUTE.i]: integerField((value) => (int = value)),
    [ATTRIBUTE.f]: floatField((value) => (float = value)),
    [ATTRIBUTE.s]: bytesField((value) => (text = value)),
    [ATTRIBUTE.t]: bytesField((value) => (tensor = value)),
    [ATTRIBUTE.ints]: ints.field,
    [ATTRIBUTE.floats]: floats.field,
  });
  const kind = schema.ATTRIBUTE_TYPES[type];
  const value = (): OnnxAttribute => {
    switch (kind) {
      case 'INT':
        return { int };
      case 'FLOAT':
        return { float };
      case 'STRING':
        return { string: new TextDecoder().decode(text) };
      case 'INTS':
        return { ints: Array.from(ints.values(), Number) };
      case 'FLOATS':
        return { floats: Array.from(floats.values()) };
      case 'TENSOR':
        if (tensor === undefined)
          throw new FormatError(`${reading.source}: attribute ${name}: expected a tensor, got none`);
        return { tensor: decodeTensor(tensor, reading.source) };
      default:
        return { other: kind ?? `type ${type}` };
    }
  };
  return [name, value()];
}

function readNode(reading: Reading, message: Uint8Array): OnnxNode {
  let [opType, domain, name] = ['', '', ''];
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes = new Map<string, OnnxAttribute>();
  const listed = (list: string[]) =>
    textField((value) => {
      spend(reading.budget);
      list.push(value);
    });
  const { NODE } = schema;
  fieldsOf(reading, message, {
    [NODE.opType]: textField((value) => (opType = value)),
    [NODE.domain]: textField((value) => (domain = value)),
    [NODE.name]: textField((value) => (name = value)),
    [NODE.input]: listed(inputs),
    [NODE.output]: listed(outputs),
    [NODE.attribute]: bytesField((value) => {
      const [key, attribute] = readAttribute(reading, value);
      if (attributes.has(key))
        throw new FormatError(
          `${reading.source}: node ${name || opType}: expected each attribute once, got ${key} again`,
        );
      attributes.set(key, attribute);
    }),
  });
  return { opType, domain, name, inputs, outputs, attributes: Object.fromEntries(attributes) };
}

function readExtent(reading: Reading, message: Uint8Array): number | string {
  let [value, name]: [number | undefined, string] = [undefined, ''];
  const { DIMENSION } = schema;
  fieldsOf(reading, message, {
    [DIMENSION.value]: integerField((extent) => (value = extent)),
    [DIMENSION.name]: textField((text) => (name = text)),
  });
  return name || (value ?? '');
}

function readValue(reading: Reading, message: Uint8Array): OnnxValue {
  let [name, elementType] = ['', 0];
  let shape: (number | string)[] | undefined;
  const { VALUE, TYPE, TENSOR_TYPE, SHAPE } = schema;
  const within = (fields: Fields) => bytesField((part) => fieldsOf(reading, part, fields));
  fieldsOf(reading, message, {
    [VALUE.name]: textField((text) => (name = text)),
    [VALUE.type]: within({
      [TYPE.tensor]: within({
        [TENSOR_TYPE.elementType]: integerField((value) => (elementType = value)),
        [TENSOR_TYPE.shape]: bytesField((part) => {
          const extents: (number | string)[] = [];
          fieldsOf(reading, part, {
            [SHAPE.dim]: bytesField((dim) => extents.push(readExtent(reading, dim))),
          });
          shape = extents;
        }),
      }),
    }),
  });
  return { name, type: schema.ELEMENT_TYPES[elementType] ?? 'UNDEFINED', ...(shape && { shape }) };
}

type Graph = Pick<OnnxModel, 'name' | 'inputs' | 'outputs' | 'nodes' | 'initializers'>;

function readGraph(reading: Reading, message: Uint8Array): Graph {
  const { source } = reading;
  let name = '';
  const [inputs, outputs, nodes]: [OnnxValue[], OnnxValue[], OnnxNode[]] = [[], [], []];
  const initializers = new Map<string, OnnxTensor>();
  const { GRAPH } = schema;
  fieldsOf(reading, message, {
    [GRAPH.name]: textField((text) => (name = text)),
    [GRAPH.input]: bytesField((part) => inputs.push(readValue(reading, part))),
    [GRAPH.output]: bytesField((part) => outputs.push(readValue(reading, part))),
    [GRAPH.node]: bytesField((part) => nodes.push(readNode(reading, part))),
    [GRAPH.initializer]: bytesField((part) => {
      spend(reading.budget);
      const tensor = decodeTensor(part, source);
      if (initializers.has(tensor.name))
        throw new FormatError(`${source}: expected each constant once, got "${tensor.name}" again`);
      initializers.set(tensor.name, tensor);
    }),
    [GRAPH.sparseInitializer]: bytesField(() => {
      throw new FormatError(`${source}: expected dense constants, got sparse ones`);
    }),
  });
  return { name, inputs, outputs, nodes, initializers: [...initializers.values()] };
}

function readModel(reading: Reading, bytes: Uint8Array): OnnxModel {
  const { source } = reading;
  let [irVersion, producer, description] = [0, '', ''];
  let opset: number | undefined;
  let graph: Graph | undefined;
  const metadata: [string, string][] = [];
  const { MODEL, OPSET, ENTRY } = schema;
  fieldsOf(reading, bytes, {
    [MODEL.irVersion]: integerField((value) => (irVersion = value)),
    [MODEL.producerName]: textField((value) => (producer = value)),
    [MODEL.docString]: textField((value) => (description = value)),
    [MODEL.graph]: bytesField((part) => {
      if (graph !== undefined) throw new FormatError(`${source}: expected one graph, got another`);
      graph = readGraph(reading, part);
    }),
    [MODEL.opsetImport]: bytesField((part) => {
      let [domain, version] = ['', 1];
      fieldsOf(reading, part, {
        [OPSET.domain]: textField((value) => (domain = value)),
        [OPSET.version]: integerField((value) => (version = value)),
      });
      if (!domain || domain === 'ai.onnx') opset ??= version;
    }),
    [MODEL.metadataProps]: bytesField((part) => {
      let [key, value] = ['', ''];
      fieldsOf(reading, part, {
        [ENTRY.key]: textField((text) => (key = text)),
        [ENTRY.value]: textField((text) => (value = text)),
      });
      metadata.push([key, value]);
    }),
    [MODEL.functions]: bytesField(() => {
      throw new FormatError(
        `${source}: expected a graph of standard operators, got functions of its own; export the model ` +
          'with its functions inlined',
      );
    }),
  });
  if (graph === undefined || graph.nodes.length === 0)
    throw new FormatError(
      `${source}: expected an ONNX model with a graph, got ${bytes.length} bytes without one`,
    );
  return {
    irVersion,
    opset: opset ?? 1,
    producer,
    description,
    metadata: Object.fromEntries(metadata),
    ...graph,
  };
}

/**
 * Decodes an ONNX model, gzip-compressed or not. Arrays are copies, independent of `bytes`.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError for bytes that are no ONNX model, are cut off, hold more than 2¹⁸ nodes, names and
 *  attributes, name a constant or an attribute twice, or whose constants do not have the size that they claim
 */
export function decodeOnnx(bytes: Uint8Array, source = 'ONNX model'): OnnxModel {
  const whole = gunzipped(bytes, source);
  try {
    return readModel({ source, budget: { left: MOST_PARTS } }, whole);
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError(
      `${source}: expected an ONNX model, got ${whole.length} bytes that are none or are cut off ` +
        `(${(error as Error).message.split('\n')[0]})`,
    );
  }
}

/** A submessage. */
function writeMessage(writer: BinaryWriter, field: number, write: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write();
  writer.join();
}
const writeText = (writer: BinaryWriter, field: number, text: string): BinaryWriter =>
  writer.tag(field, WireType.LengthDelimited).string(text);
const writeInteger = (writer: BinaryWriter, field: number, value: number): BinaryWriter =>
  writer.tag(field, WireType.Varint).int64(value);

function writeAttribute(writer: BinaryWriter, name: string, value: OnnxAttribute): void {
  const { ATTRIBUTE } = schema;
  const type = (kind: (typeof schema.ATTRIBUTE_TYPES)[number]) =>
    writeInteger(writer, ATTRIBUTE.type, schema.ATTRIBUTE_TYPES.indexOf(kind));
  writeText(writer, ATTRIBUTE.name, name);
  if ('int' in value) writeInteger(type('INT'), ATTRIBUTE.i, value.int);
  else if ('float' in value) type('FLOAT').tag(ATTRIBUTE.f, WireType.Bit32).float(value.float);
  else if ('string' in value) writeText(type('STRING'), ATTRIBUTE.s, value.string);
  else if ('ints' in value) {
    type('INTS');
    writeMessage(writer, ATTRIBUTE.ints, () => value.ints.map((entry) => writer.int64(entry)));
  } else if ('floats' in value) {
    type('FLOATS');
    writeMessage(writer, ATTRIBUTE.floats, () => value.floats.map((entry) => writer.float(entry)));
  } else if ('tensor' in value) {
    type('TENSOR');
    writeMessage(writer, ATTRIBUTE.t, () => writeTensor(writer, value.tensor));
  } else
    throw new FormatError(
      `ONNX attribute ${name}: expected a number, text, list or tensor, got ${value.other}`,
    );
}

function writeNode(
  writer: BinaryWriter,
  { opType, domain, name, inputs, outputs, attributes }: OnnxNode,
): void {
  const { NODE } = schema;
  for (const input of inputs) writeText(writer, NODE.input, input);
  for (const output of outputs) writeText(writer, NODE.output, output);
  if (name) writeText(writer, NODE.name, name);
  writeText(writer, NODE.opType, opType);
  if (domain) writeText(writer, NODE.domain, domain);
  for (const [key, value] of Object.entries(attributes))
    writeMessage(writer, NODE.attribute, () => writeAttribute(writer, key, value));
}

function writeValue(writer: BinaryWriter, { name, type, shape }: OnnxValue): void {
  const { VALUE, TYPE, TENSOR_TYPE, SHAPE, DIMENSION } = schema;
  const extent = (value: number | string) =>
    typeof value === 'string'
      ? writeText(writer, DIMENSION.name, value)
      : writeInteger(writer, DIMENSION.value, value);
  writeText(writer, VALUE.name, name);
  writeMessage(writer, VALUE.type, () =>
    writeMessage(writer, TYPE.tensor, () => {
      writeInteger(
        writer,
        TENSOR_TYPE.elementType,
        (schema.ELEMENT_TYPES as readonly string[]).indexOf(type),
      );
      if (shape)
        writeMessage(writer, TENSOR_TYPE.shape, () => {
          for (const value of shape) writeMessage(writer, SHAPE.dim, () => extent(value));
        });
    }),
  );
}

/** The bytes of a model; bytes as constants become booleans. The same model gives the same bytes. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  const writer = new BinaryWriter();
  const { MODEL, OPSET, ENTRY, GRAPH } = schema;
  writeInteger(writer, MODEL.irVersion, model.irVersion);
  writeText(writer, MODEL.producerName, model.producer);
  if (model.description) writeText(writer, MODEL.docString, model.description);
  writeMessage(writer, MODEL.graph, () => {
    for (const node of model.nodes) writeMessage(writer, GRAPH.node, () => writeNode(writer, node));
    writeText(writer, GRAPH.name, model.name);
    for (const tensor of model.initializers)
      writeMessage(writer, GRAPH.initializer, () => writeTensor(writer, tensor));
    for (const value of model.inputs) writeMessage(writer, GRAPH.input, () => writeValue(writer, value));
    for (const value of model.outputs) writeMessage(writer, GRAPH.output, () => writeValue(writer, value));
  });
  writeMessage(writer, MODEL.opsetImport, () => {
    writeText(writer, OPSET.domain, '');
    writeInteger(writer, OPSET.version, model.opset);
  });
  for (const [key, value] of Object.entries(model.metadata))
    writeMessage(writer, MODEL.metadataProps, () => {
      writeText(writer, ENTRY.key, key);
      writeText(writer, ENTRY.value, value);
    });
  return writer.finish();
}

/**
 * The bytes of a model, gzip-compressed or not, with further values as outputs: those of its own bytes with a
 * message behind them, as parts of a protobuf message that come later are added to its lists.
 */
export function withOutputs(bytes: Uint8Array, names: readonly string[], source = 'ONNX model'): Uint8Array {
  const whole = gunzipped(bytes, source);
  if (names.length === 0) return whole;
  const writer = new BinaryWriter();
  const { MODEL, GRAPH, VALUE } = schema;
  writeMessage(writer, MODEL.graph, () => {
    for (const name of names)
      writeMessage(writer, GRAPH.output, () => void writeText(writer, VALUE.name, name));
  });
  return Buffer.concat([whole, writer.finish()]);
}
