import type { Box } from './bounds.js';
import type { Node } from './onnx.js';
import type { Polytope } from './vnnlib.js';

/** Pixels in 255ths, [count, features]. */
export interface Images {
  readonly images: Uint8Array;
  readonly labels: ArrayLike<number>;
  readonly count: number;
}
/** What a certificate that holds proves. */
export interface CheckOutcome {
  /** What is proved, in words. */
  readonly what: string;
  readonly proved: number;
  readonly of: number;
}
export interface Given {
  readonly certificate: Uint8Array;
  readonly model: Uint8Array;
  readonly property?: Uint8Array;
  readonly images?: Images;
  /** [k, n]: every n-th proof from the k-th, or leaf where proofs are fewer; all n must be asked for. */
  readonly share?: readonly [k: number, n: number];
}
export declare function plain(bytes: Uint8Array): Promise<Uint8Array>;
export declare function digest(...parts: readonly Uint8Array[]): Promise<string>;
export declare function ballPolytopes(
  image: Uint8Array,
  label: number,
  classes: number,
  ball: { readonly epsilon: number; readonly clip: boolean },
): Polytope[];
export declare function prove(
  nodes: readonly Node[],
  box: Box,
  how: { readonly bounds?: unknown; readonly mine?: () => boolean },
  tree: unknown,
  open: readonly Polytope[],
): void;
export declare function check(given: Given): Promise<CheckOutcome>;
