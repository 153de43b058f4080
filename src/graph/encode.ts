/** Graphs as ONNX models: plain operators of the default domain, one initialiser per distinct constant. */
import { createHash } from 'node:crypto';
import onnxProto from 'onnx-proto';
import { inputName, isInput } from './operators/leaves.js';
import { simplify } from './simplify.js';
import { type AttributeValue, type DType, type Emitter, GraphError, type HostData, type Shape, type Tensor, topologicalOrder } from './tensor.js';

const { onnx } = onnxProto;
const { DataType } = onnx.TensorProto;
const OPSET = 18;
const IR_VERSION = 8;

const elementType: Record<DType, number> = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  int32: DataType.INT32,
  bool: DataType.BOOL,
};

export const valueInfo = (name: string, dtype: DType, shape: readonly (number | string)[]) => ({
  name,
  type: {
    tensorType: {
      elemType: elementType[dtype],
      shape: { dim: shape.map((extent) => (typeof extent === 'string' ? { dimParam: extent } : { dimValue: extent })) },
    },
  },
});

/** A constant of a model; BigInt arrays are int64 (shapes and axes). */
export function tensorProto(name: string, data: HostData | bigint[], shape: Shape) {
  const array = Array.isArray(data) ? BigInt64Array.from(data) : data;
  const dataType =
    array instanceof BigInt64Array
      ? DataType.INT64
      : array instanceof Float32Array
        ? DataType.FLOAT
        : array instanceof Float64Array
          ? DataType.DOUBLE
          : array instanceof Int32Array
            ? DataType.INT32
            : DataType.BOOL;
  return { name, dataType, dims: [...shape], rawData: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}

function attributeProto(name: string, value: AttributeValue) {
  const { AttributeType } = onnx.AttributeProto;
  if ('int' in value) return { name, type: AttributeType.INT, i: value.int };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ('string' in value) return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value.string) };
  return { name, type: AttributeType.INTS, ints: [...value.ints] };
}

/** Collects nodes and initialisers; equal constants are stored once. */
export class GraphBuilder implements Emitter {
  readonly nodes: object[] = [];
  readonly initializers = new Map<string, ReturnType<typeof tensorProto>>();
  #names = new Map<string, string>();
  #count = 0;

  node(opType: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}, output?: string): string {
    const key = `${opType}(${inputs.join()})${JSON.stringify(attributes)}`;
    const known = this.#names.get(key);
    if (known !== undefined && output === undefined) return known;
    const name = output ?? `${opType}_${this.#count++}`;
    this.#names.set(key, name);
    this.nodes.push({ opType, input: inputs, output: [name], attribute: Object.entries(attributes).map(([k, v]) => attributeProto(k, v)) });
    return name;
  }

  constant(data: HostData | bigint[], shape: Shape): string {
    const proto = tensorProto('', data, shape);
    const key = createHash('sha1').update(proto.rawData).digest('base64url');
    const name = `constant_${proto.dataType}_${shape.join('x')}_${key}`;
    if (!this.initializers.has(name)) this.initializers.set(name, { ...proto, name });
    return name;
  }

  model(inputs: object[], outputs: object[], producer = 'tautnet'): Uint8Array {
    return onnx.ModelProto.encode(
      onnx.ModelProto.create({
        irVersion: IR_VERSION,
        opsetImport: [{ domain: '', version: OPSET }],
        producerName: producer,
        graph: { name: 'graph', node: this.nodes, input: inputs, output: outputs, initializer: [...this.initializers.values()] },
      }),
    ).finish();
  }
}

export interface EncodedProgram {
  readonly bytes: Uint8Array;
  readonly inputs: readonly { name: string; shape: Shape; dtype: DType }[];
  readonly outputs: readonly { name: string; shape: Shape; dtype: DType }[];
}

/** An ONNX model that computes `outputs` by name. Its inputs are those that the outputs need. */
export function encodeProgram(outputs: Readonly<Record<string, Tensor>>): EncodedProgram {
  const names = Object.keys(outputs);
  const results = simplify(Object.values(outputs));
  const builder = new GraphBuilder();
  const values = new Map<Tensor, string>();
  const inputs: { name: string; shape: Shape; dtype: DType }[] = [];
  for (const node of topologicalOrder(results)) {
    if (isInput(node)) {
      const clash = inputs.find((known) => known.name === inputName(node));
      if (clash)
        throw new GraphError(`encode: two different inputs are named ${clash.name}: [${clash.shape}] ${clash.dtype} and [${node.shape}] ${node.dtype}`);
      if (names.includes(inputName(node))) throw new GraphError(`encode: an output and an input are both named ${inputName(node)}; rename one`);
      inputs.push({ name: inputName(node), shape: node.shape, dtype: node.dtype });
    }
    values.set(
      node,
      node.operator.encode(
        node,
        node.inputs.map((x) => values.get(x) as string),
        builder,
      ),
    );
  }
  for (const [k, result] of results.entries()) builder.node('Identity', [values.get(result) as string], {}, names[k] as string);
  const outputInfo = results.map((result, k) => ({ name: names[k] as string, shape: result.shape, dtype: result.dtype }));
  const info = (list: typeof inputs) => list.map(({ name, shape, dtype }) => valueInfo(name, dtype, shape));
  return { bytes: builder.model(info(inputs), info(outputInfo)), inputs, outputs: outputInfo };
}
