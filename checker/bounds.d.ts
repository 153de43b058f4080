import type { AffineNode, Node } from './onnx.js';
import type { Row } from './vnnlib.js';

export interface Box {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}
/** Of each node, by number. */
export interface Bounds {
  readonly lower: Float64Array[];
  readonly upper: Float64Array[];
  /** At least |value|. */
  readonly size: Float64Array[];
  /** Of ReLUs: the number of each value among all unstable ReLUs, or −1. */
  readonly unstable: Int32Array[];
}
export interface Hints {
  /** α of all unstable ReLUs in 255ths. */
  readonly alpha?: Uint8Array;
  /** Decided ReLUs: node, neuron, sign of the input, β. */
  readonly path?: readonly (readonly number[])[];
}
/** α of a row over node p, given bounds of the nodes before; undefined for CROWN's. */
export type Slopes = (p: number, row: Row, bounds: Bounds) => Uint8Array | undefined;
export declare const down: (x: number) => number;
export declare const up: (x: number) => number;
export declare function forward(
  node: AffineNode,
  centre: Float64Array,
  radius: Float64Array,
): { middle: Float64Array; spread: Float64Array };
export declare function adjoint(node: AffineNode, a: Float64Array, inputs: number): Float64Array;
export declare function boundNodes(nodes: readonly Node[], box: Box, slopes?: Slopes | false): Bounds;
export declare function lowerBound(
  nodes: readonly Node[],
  bounds: Bounds,
  start: number,
  row: Row,
  hints: Hints,
): number;
