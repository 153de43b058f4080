/** Graphs as ONNX models: plain operators of the default domain, one initialiser per distinct constant. */
import { encodeOnnx, type OnnxNode, type OnnxTensor, type OnnxValue } from '../formats/onnx.js';
import { type Footprint, footprint } from './footprint.js';
import { forEveryMember, type Lifting, lift } from './lift.js';
import { inputName, isInput } from './operators/leaves.js';
import { sha1 } from './sha1.js';
import { simplify } from './simplify.js';
import {
  type AttributeValue,
  type DType,
  type Emitter,
  GraphError,
  type HostData,
  type Shape,
  type Tensor,
  topologicalOrder,
} from './tensor.js';

const OPSET = 18;
const IR_VERSION = 8;

/** Types as onnx.proto calls them. */
export const ELEMENT_TYPE: Readonly<Record<DType, string>> = {
  float32: 'FLOAT',
  float64: 'DOUBLE',
  int32: 'INT32',
  bool: 'BOOL',
};

/** Collects nodes and initialisers; equal constants are stored once. */
export class GraphBuilder implements Emitter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers = new Map<string, OnnxTensor>();
  #names = new Map<string, string>();
  #count = 0;

  node(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
    output?: string,
  ): string {
    const key = `${opType}(${inputs.join()})${JSON.stringify(attributes)}`;
    const known = this.#names.get(key);
    if (known !== undefined && output === undefined) return known;
    const name = output ?? `${opType}_${this.#count++}`;
    this.#names.set(key, name);
    this.nodes.push({ opType, inputs, outputs: [name], attributes });
    return name;
  }

  /** BigInt arrays are int64 (shapes and axes). */
  constant(data: HostData | bigint[], shape: Shape): string {
    const array = Array.isArray(data) ? BigInt64Array.from(data) : data;
    const name = `constant_${array.constructor.name}_${shape.join('x')}_${sha1(array)}`;
    if (!this.initializers.has(name)) this.initializers.set(name, { name, shape, data: array });
    return name;
  }

  model(inputs: readonly OnnxValue[], outputs: readonly OnnxValue[], producer = 'tautnet'): Uint8Array {
    const initializers = [...this.initializers.values()];
    const graph = { name: 'graph', inputs, outputs, nodes: this.nodes, initializers };
    return encodeOnnx({
      irVersion: IR_VERSION,
      opset: OPSET,
      producer,
      description: '',
      metadata: {},
      ...graph,
    });
  }
}

/** A graph as an ONNX model, with what has to be fed and what comes out. */
export interface EncodedProgram {
  readonly bytes: Uint8Array;
  readonly inputs: readonly { name: string; shape: Shape; dtype: DType }[];
  /** `lifted`: with a leading axis of members. */
  readonly outputs: readonly { name: string; shape: Shape; dtype: DType; lifted?: boolean }[];
  /** Memory that a run needs. */
  readonly footprint: Footprint;
}

/** How outputs become a program. */
export interface EncodingOptions {
  /** Compute the outputs for all members of a population at once. */
  readonly lifting?: Lifting;
  /** Outputs that have the axis of members even where members share what they depend on. */
  readonly everyMember?: (name: string) => boolean;
}

/** An ONNX model that computes `outputs` by name. Its inputs are those that the outputs need. */
export function encodeProgram(
  outputs: Readonly<Record<string, Tensor>>,
  { lifting, everyMember = () => false }: EncodingOptions = {},
): EncodedProgram {
  const names = Object.keys(outputs);
  const simple = simplify(Object.values(outputs));
  const lifted = lifting && lift(simple, lifting);
  const results =
    lifted?.map((output, k) =>
      everyMember(names[k] as string) ? forEveryMember(output, lifting?.members as number) : output.tensor,
    ) ?? simple;
  const builder = new GraphBuilder();
  const values = new Map<Tensor, string>();
  const inputs: { name: string; shape: Shape; dtype: DType }[] = [];
  for (const node of topologicalOrder(results)) {
    if (isInput(node)) {
      const clash = inputs.find((known) => known.name === inputName(node));
      if (clash)
        throw new GraphError(
          `encode: two different inputs are named ${clash.name}: [${clash.shape}] ${clash.dtype} and ` +
            `[${node.shape}] ${node.dtype}`,
        );
      if (names.includes(inputName(node)))
        throw new GraphError(`encode: an output and an input are both named ${inputName(node)}; rename one`);
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
  for (const [k, result] of results.entries())
    builder.node('Identity', [values.get(result) as string], {}, names[k] as string);
  const isLifted = (k: number) =>
    lifted !== undefined && (lifted[k]?.lifted === true || everyMember(names[k] as string));
  const outputInfo = results.map(({ shape, dtype }, k) => ({
    name: names[k] as string,
    shape,
    dtype,
    ...(isLifted(k) ? { lifted: true } : {}),
  }));
  const info = (list: typeof inputs) =>
    list.map(({ name, shape, dtype }): OnnxValue => ({ name, type: ELEMENT_TYPE[dtype], shape }));
  return {
    bytes: builder.model(info(inputs), info(outputInfo)),
    inputs,
    outputs: outputInfo,
    footprint: footprint(results),
  };
}
