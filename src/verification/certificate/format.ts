/**
 * What a certificate is (docs/reference/certificates.md): what it is about, by digests, and for each proof
 * how the checker is to find it again. Nothing in it is believed, so nothing in it needs to be exact.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/** Hints for one leaf: what is left out has the checker's defaults. */
export interface Leaf {
  /** α of all unstable ReLUs in 255ths, base64. */
  readonly a?: string;
  /** β of the ReLUs decided on the way to the leaf, in their order. */
  readonly b?: readonly number[];
}

/**
 * How a box is divided: input i halved (below, above), ReLU i of the r-th ReLU layer decided (active,
 * inactive), a tree for each polytope; 0 is a leaf without hints.
 */
export type Tree =
  | 0
  | Leaf
  | readonly ['x', i: number, below: Tree, above: Tree]
  | readonly ['relu', r: number, i: number, active: Tree, inactive: Tree]
  | readonly ['each', ...Tree[]];

/** How hidden bounds are found: by intervals, or by back-substitution where those leave a ReLU unstable. */
export type HiddenMethod = 'ibp' | 'crown';

/**
 * The same, or back-substitution with given slopes: for one row after the other, in the checker's order, α of
 * the unstable ReLUs before it in 255ths, base64; '' for CROWN's.
 */
export type HiddenBounding = HiddenMethod | readonly string[];

/** How something is proved. */
export interface Proof {
  /** Numbers of polytopes that share a box and are proved together, or of images, each proved by itself. */
  readonly of: readonly number[];
  readonly bounds: HiddenBounding;
  readonly tree: Tree;
}

/** What is proved. */
export type Claim =
  /** SHA-256 of the property's text. */
  | { readonly property: string }
  /** SHA-256 of the pixels followed by the labels, one byte each; the ball around each image. */
  | { readonly images: string; readonly epsilon: number; readonly clip: boolean };

/** What a certificate's file holds. */
export interface Certificate {
  /** SHA-256 of the ONNX file. */
  readonly model: string;
  readonly claim: Claim;
  readonly proofs: readonly Proof[];
}

/** What a certification or verification proved, as far as certificates could be made of it. */
export interface CertifiedProofs {
  readonly certificate: Certificate;
  /** Proofs that have one. */
  readonly proved: number;
  /** Why others have none, and how many. */
  readonly without: ReadonlyMap<string, number>;
}

/** The bytes of its file: JSON, and on the next line the SHA-256 of that, gzip-compressed. */
export function encodeCertificate({ model, claim, proofs }: Certificate): Uint8Array {
  const text = JSON.stringify({ certificate: 1, model, claim, proofs });
  const seal = createHash('sha256').update(text).digest('hex');
  return gzipSync(`${text}\n${seal}\n`, { level: 9 });
}
