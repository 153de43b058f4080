/**
 * Symbolic tensors: immutable nodes of a directed acyclic graph with static shapes.
 *
 * A tensor remembers the operator that makes it, the operator's inputs and attributes. Nothing is computed
 * when it is built; shapes are checked then, so that a mistake names the operator and the shapes at the line
 * that made it.
 */

export type DType = 'float32' | 'float64' | 'int32' | 'bool';
/** Types that are differentiated through. */
export type FloatType = 'float32' | 'float64';
/** Extents, outermost first; [] is a scalar. Activations are [features, batch]. */
export type Shape = readonly number[];
/** What an operator knows beside its inputs: axes, tables, constants. */
export type Attributes = Readonly<Record<string, unknown>>;
/** Values in the host's memory, row-major; booleans are bytes of 0 and 1. */
export type HostData = Float32Array | Float64Array | Int32Array | Uint8Array;

/** A symbolic value: an operator applied to earlier tensors. Nothing is computed until a program runs. */
export interface Tensor {
  /** Grows with creation: inputs always have smaller ids than what is made of them. */
  readonly id: number;
  readonly operator: Operator;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** What an operator emits ONNX nodes with; returns the name of the value made. */
export interface Emitter {
  node(opType: string, inputs: readonly string[], attributes?: Record<string, AttributeValue>): string;
  constant(data: HostData | bigint[], shape: Shape): string;
}
/** An attribute of an ONNX operator, by its kind. */
export type AttributeValue =
  | { int: number }
  | { ints: readonly number[] }
  | { float: number }
  | { string: string };

/**
 * One operator: its shape rule, its ONNX form, its derivative and a plain reference evaluation, in one place.
 */
export interface Operator {
  readonly name: string;
  /** Shape and type of the output; throws a GraphError for inputs that do not fit. */
  infer(inputs: readonly Tensor[], attributes: Attributes): { shape: Shape; dtype: DType };
  encode(node: Tensor, inputs: readonly string[], emit: Emitter): string;
  /** Contributions to the gradient of each input given the output's; undefined where none flows. */
  gradient?(node: Tensor, output: Tensor): (Tensor | undefined)[];
  /**
   * The same for all members of a population at once: inputs marked `lifted` have a leading axis of members,
   * [members, …shape], the others are shared by all; the result has the axis. Called with one lifted input at
   * least.
   */
  lift?(node: Tensor, inputs: readonly Tensor[], lifted: readonly boolean[]): Tensor;
  /** `lift` takes lifted inputs only: shared ones are to be repeated first. */
  readonly liftsAll?: boolean;
  /** Reference semantics in float64 (integers and booleans as numbers): slow, plain, for tests. */
  evaluate(node: Tensor, inputs: readonly Float64Array[]): Float64Array;
}

/** A graph that cannot be built: names the operator and what came. */
export class GraphError extends Error {
  override name = 'GraphError';
}

let nextId = 0;

/** Builds the node of an operator, checking shapes now rather than when it runs. */
export function apply(operator: Operator, inputs: readonly Tensor[], attributes: Attributes = {}): Tensor {
  const { shape, dtype } = operator.infer(inputs, attributes);
  return { id: nextId++, operator, inputs, attributes, shape, dtype };
}

export const sizeOf = (shape: Shape): number => shape.reduce((product, extent) => product * extent, 1);
export const isFloat = (dtype: DType): dtype is FloatType => dtype === 'float32' || dtype === 'float64';
export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((extent, i) => extent === b[i]);

/** "[3,4] float32, [4] float32": how errors show what came. */
export const describe = (tensors: readonly Tensor[]): string =>
  tensors.map((tensor) => `[${tensor.shape.join(',')}] ${tensor.dtype}`).join(', ');

export function fail(operator: string, expected: string, inputs: readonly Tensor[]): never {
  throw new GraphError(`${operator}: expected ${expected}, got ${describe(inputs)}`);
}

/** Array type that holds a dtype on the host. */
export function hostArray(dtype: DType, size: number): HostData {
  if (dtype === 'float32') return new Float32Array(size);
  if (dtype === 'float64') return new Float64Array(size);
  return dtype === 'int32' ? new Int32Array(size) : new Uint8Array(size);
}

/** Every node that the outputs need, inputs before what is made of them. */
export function topologicalOrder(outputs: readonly Tensor[]): Tensor[] {
  const seen = new Set<Tensor>();
  const stack = [...outputs];
  while (stack.length > 0) {
    const node = stack.pop() as Tensor;
    if (seen.has(node)) continue;
    seen.add(node);
    stack.push(...node.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
