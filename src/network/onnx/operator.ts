/** What reading one ONNX operator takes: a table entry with the attributes it knows, and a function from its inputs to its first output. */
import { FormatError } from '../../formats/format-error.js';
import type { OnnxNode, OnnxTensor } from '../../formats/onnx.js';
import type { Extents } from '../layers/layer.js';
import { type Activation, type Draft, sizeOf, type Value } from './draft.js';

/** Most values of one activation of one image; more than any classifier of images has, and still affordable. */
export const LARGEST_ACTIVATION = 2 ** 22;

/** One node to read, with the values that it reads. */
export interface Call {
  readonly source: string;
  readonly node: OnnxNode;
  /** Undefined where an optional input is left out. */
  readonly inputs: readonly (Value | undefined)[];
  readonly draft: Draft;
  /** Extents of the network's input. */
  readonly input: Extents;
  /** The input's batch extent, where the file fixes it. */
  readonly batch: number | undefined;
}

export interface OperatorReader {
  /** Attributes that the reader takes into account; others are refused, as they might change the meaning. */
  readonly attributes: readonly string[];
  read(call: Call): Value;
}

/** "Conv (node conv1)" */
export const nodeTitle = ({ opType, name, outputs }: OnnxNode): string => `${opType} (node ${name || outputs[0] || 'without a name'})`;

export function refuse({ source, node }: Pick<Call, 'source' | 'node'>, expected: string, got: string): never {
  throw new FormatError(`${source}: ${nodeTitle(node)}: expected ${expected}, got ${got}`);
}

export const describeValue = (value: Value | undefined): string =>
  value === undefined
    ? 'nothing'
    : value.kind === 'constant'
      ? `a constant [${value.tensor.shape.join(',')}]`
      : `an activation [batch,${value.shape.join(',')}]`;

/** Input `index` as an activation of at most LARGEST_ACTIVATION values. */
export function activation(call: Call, index = 0): Activation {
  const value = call.inputs[index];
  if (value?.kind !== 'activation') refuse(call, `input ${index} to depend on the network's input`, describeValue(value));
  return value;
}

/** Input `index` as a constant of any type. */
export function constant(call: Call, index: number): OnnxTensor {
  const value = call.inputs[index];
  if (value?.kind !== 'constant') refuse(call, `input ${index} to be a constant`, describeValue(value));
  return value.tensor;
}

/** Input `index` as a constant of real numbers, in float64. */
export function floats(call: Call, index: number): { shape: readonly number[]; values: Float64Array } {
  const { shape, data } = constant(call, index);
  if (!(data instanceof Float32Array || data instanceof Float64Array)) refuse(call, `input ${index} to hold float32 or float64 values`, 'other ones');
  return { shape, values: Float64Array.from(data) };
}

/** Attributes by kind, with the value that the standard gives those left out. */
export function integer(call: Call, name: string, otherwise: number): number {
  const attribute = call.node.attributes[name];
  if (attribute === undefined) return otherwise;
  return 'int' in attribute ? attribute.int : refuse(call, `attribute ${name} to be an integer`, Object.keys(attribute).join());
}
export function real(call: Call, name: string, otherwise: number): number {
  const attribute = call.node.attributes[name];
  if (attribute === undefined) return otherwise;
  return 'float' in attribute ? attribute.float : refuse(call, `attribute ${name} to be a number`, Object.keys(attribute).join());
}
export function integers(call: Call, name: string, otherwise: readonly number[]): readonly number[] {
  const attribute = call.node.attributes[name];
  if (attribute === undefined) return otherwise;
  if (!('ints' in attribute) || attribute.ints.length !== otherwise.length)
    refuse(call, `attribute ${name} to be ${otherwise.length} integers`, 'ints' in attribute ? `[${attribute.ints.join(',')}]` : Object.keys(attribute).join());
  return attribute.ints;
}

/** Checks the extents of an activation to be made, before anything of its size is. */
export function checkExtents(call: Call, shape: readonly number[]): void {
  if (shape.some((extent) => !Number.isSafeInteger(extent) || extent < 1)) refuse(call, 'an output with extents ≥ 1', `[${shape.join(',')}]`);
  if (sizeOf(shape) > LARGEST_ACTIVATION) refuse(call, `at most ${LARGEST_ACTIVATION} values an image`, `[${shape.join(',')}]`);
}
