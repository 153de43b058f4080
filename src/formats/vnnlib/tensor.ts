/** What a query of VNN-LIB 2.0 declares, as plain data: networks and their tensors. */

/** Element types that are read; real is any of the others, with leave to compute in real numbers. */
export const ELEMENT_TYPES = ['real', 'float32', 'float64'] as const;
/** What a tensor's elements are. */
export type ElementType = (typeof ELEMENT_TYPES)[number];
/** Where a tensor stands in its network. */
export type TensorKind = 'input' | 'hidden' | 'output';

/** A tensor of a network. */
export interface TensorDeclaration {
  readonly kind: TensorKind;
  readonly name: string;
  readonly type: ElementType;
  /** Extents; [] is a scalar. */
  readonly shape: readonly number[];
  /** The value in the ONNX file, where the query says it. */
  readonly onnxName?: string;
  /** The variable that its first element is; inputs count upwards from it, other tensors downwards. */
  readonly first: number;
}

/** A network: its inputs, hidden tensors and outputs, and whether it is another one once more. */
export interface NetworkDeclaration {
  readonly name: string;
  /** The network declared before that this one equals, or whose graph with other weights it is. */
  readonly equivalence?: { readonly kind: 'equal-to' | 'isomorphic-to'; readonly network: string };
  /** Inputs, hidden tensors, outputs, in this order. */
  readonly tensors: readonly TensorDeclaration[];
}

export const elementsOf = ({ shape }: Pick<TensorDeclaration, 'shape'>): number =>
  shape.reduce((a, b) => a * b, 1);
export const shapeText = ({ shape }: Pick<TensorDeclaration, 'shape'>): string => `[${shape.join(',')}]`;
/** All tensors of networks, in the order of the file. */
export const tensorsOf = (networks: readonly NetworkDeclaration[]): TensorDeclaration[] =>
  networks.flatMap(({ tensors }) => tensors);
