interface Common {
  readonly inputs: readonly number[];
  readonly size: number;
}
export interface PlainNode extends Common {
  readonly op: 'input' | 'relu' | 'add';
}
export interface AffineNode extends Common {
  readonly op: 'affine';
  readonly weight: Float64Array;
  readonly bias: Float64Array;
  readonly positions: number;
  readonly taps: number;
  readonly first: Int32Array;
  readonly runs: Int32Array;
}
export type Node = PlainNode | AffineNode;
export declare const refuse: (message: string) => never;
export declare const demand: (holds: unknown, message: string) => unknown;
export declare function readOnnx(bytes: Uint8Array): Node[];
