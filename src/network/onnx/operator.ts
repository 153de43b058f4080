/**
 * What reading one ONNX operator takes: a table entry with the attributes it knows, and a function from its
 * inputs to its outputs.
 */
import { FormatError } from '../../formats/format-error.js';
import type { OnnxNode, OnnxTensor } from '../../formats/onnx.js';
import type { Extents } from '../layers/layer.js';
import { type Activation, type Draft, sizeOf, type Value } from './draft.js';
import type { FixedInputs } from './fixed.js';
import { materialized } from './view.js';

/**
 * Most values of one activation of one image; more than any classifier of images has, and still affordable.
 */
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
  /**
   * The input's batch extent, where the file fixes it; also 1 where the input has no batch axis. With 1 the
   * batch is an axis like others and may be moved, merged and dropped; otherwise images have to stay apart.
   */
  readonly batch: number | undefined;
  /** Inputs that have one number each, where the network is read for such a box. */
  readonly fixed?: FixedInputs;
}

/**
 * What stands for a symbolic batch in shapes that a file computes: −1 and 0 mean something to Reshape
 * already.
 */
export const SYMBOLIC_BATCH = -2_000_000_011;

export interface OperatorReader {
  /** Attributes that the reader takes into account; others are refused, as they might change the meaning. */
  readonly attributes: readonly string[];
  /** One value, or one for each output of an operator that has several. */
  read(call: Call): Value | readonly Value[];
}

/** "Conv (node conv1)" */
export const nodeTitle = ({ opType, name, outputs }: OnnxNode): string =>
  `${opType} (node ${name || outputs[0] || 'without a name'})`;

export function refuse(
  { source, node }: Pick<Call, 'source' | 'node'>,
  expected: string,
  got: string,
): never {
  throw new FormatError(`${source}: ${nodeTitle(node)}: expected ${expected}, got ${got}`);
}

/** Extents of a value in the file; the batch counts as 1. */
export function fileShape(value: Value): readonly number[] {
  if (value.kind === 'constant') return value.tensor.shape;
  const { shape, batchAxis = 0 } = value;
  return batchAxis < 0 ? shape : [...shape.slice(0, batchAxis), 1, ...shape.slice(batchAxis)];
}

/** "[batch,3,32,32]" */
export function shapeText(value: Value): string {
  const axis = value.kind === 'constant' ? -1 : (value.batchAxis ?? 0);
  return `[${fileShape(value)
    .map((extent, i) => (i === axis ? 'batch' : extent))
    .join(',')}]`;
}

export const describeValue = (value: Value | undefined): string =>
  value === undefined
    ? 'nothing'
    : `${value.kind === 'constant' ? 'a constant' : 'an activation'} ${shapeText(value)}`;

/** Input `index` as an activation whose batch may be anywhere and whose features may be a view. */
export function anyActivation(call: Call, index = 0): Activation {
  const value = call.inputs[index];
  if (value?.kind !== 'activation')
    refuse(call, `input ${index} to depend on the network's input`, describeValue(value));
  return value;
}

/** Input `index` as an activation [batch, …] that is the output of a node. */
export function activation(call: Call, index = 0): Activation {
  const x = anyActivation(call, index);
  if ((x.batchAxis ?? 0) !== 0)
    refuse(call, `input ${index} to have the batch as its first axis`, describeValue(x));
  return materialized(call.draft, x);
}

/**
 * An activation's shape from extents in the file, the batch counting as 1 on `axis` (−1: nowhere); a batch of
 * one may be any first axis of 1.
 */
export function imageShape(
  { batch }: Call,
  shape: readonly number[],
  axis: number,
): Pick<Activation, 'shape' | 'batchAxis'> {
  const at = batch === 1 ? (shape[0] === 1 ? 0 : -1) : axis;
  return { shape: shape.filter((_, i) => i !== at), batchAxis: at };
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
  if (!(data instanceof Float32Array || data instanceof Float64Array))
    refuse(call, `input ${index} to hold float32 or float64 values`, 'other ones');
  return { shape, values: Float64Array.from(data) };
}

/** Input `index` as a list of integers, such as a shape or axes. */
export function integerList(call: Call, index: number): number[] {
  const { data } = constant(call, index);
  if (!(data instanceof BigInt64Array || data instanceof Int32Array))
    refuse(call, `input ${index} to hold int64 or int32 values`, 'other ones');
  return Array.from(data as ArrayLike<number | bigint>, Number);
}

/**
 * Integers that older opsets have as an attribute and newer ones as input `index`; undefined where neither is
 * there.
 */
export function attributeOrInput(call: Call, name: string, index: number): number[] | undefined {
  const attribute = call.node.attributes[name];
  if (attribute === undefined) return call.inputs[index] === undefined ? undefined : integerList(call, index);
  if ('ints' in attribute) return [...attribute.ints];
  return refuse(call, `attribute ${name} to be a list of integers`, Object.keys(attribute).join());
}

/** An axis counted from either end. */
export function axisOf(call: Call, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isSafeInteger(at) || at < 0 || at >= rank)
    refuse(call, `an axis from ${-rank} to ${rank - 1}`, `${axis}`);
  return at;
}

/** Attributes by kind, with the value that the standard gives those left out. */
export function integer(call: Call, name: string, otherwise: number): number {
  const attribute = call.node.attributes[name];
  if (attribute === undefined) return otherwise;
  return 'int' in attribute
    ? attribute.int
    : refuse(call, `attribute ${name} to be an integer`, Object.keys(attribute).join());
}
export function real(call: Call, name: string, otherwise: number): number {
  const attribute = call.node.attributes[name];
  if (attribute === undefined) return otherwise;
  return 'float' in attribute
    ? attribute.float
    : refuse(call, `attribute ${name} to be a number`, Object.keys(attribute).join());
}
export function text(call: Call, name: string, otherwise: string): string {
  const attribute = call.node.attributes[name];
  if (attribute === undefined) return otherwise;
  return 'string' in attribute
    ? attribute.string
    : refuse(call, `attribute ${name} to be text`, Object.keys(attribute).join());
}
export function integers(call: Call, name: string, otherwise: readonly number[]): readonly number[] {
  const attribute = call.node.attributes[name];
  if (attribute === undefined) return otherwise;
  if (!('ints' in attribute) || attribute.ints.length !== otherwise.length)
    refuse(
      call,
      `attribute ${name} to be ${otherwise.length} integers`,
      'ints' in attribute ? `[${attribute.ints.join(',')}]` : Object.keys(attribute).join(),
    );
  return attribute.ints;
}

/** Checks the extents of an activation to be made, before anything of its size is. */
export function checkExtents(call: Call, shape: readonly number[]): void {
  if (shape.some((extent) => !Number.isSafeInteger(extent) || extent < 1))
    refuse(call, 'an output with extents ≥ 1', `[${shape.join(',')}]`);
  if (sizeOf(shape) > LARGEST_ACTIVATION)
    refuse(call, `at most ${LARGEST_ACTIVATION} values an image`, `[${shape.join(',')}]`);
}
