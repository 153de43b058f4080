/**
 * What a search leaves behind of how it proved something: splits, slopes and multipliers, as plain data.
 * Certificates are made of it (`certificate/`), where all of it is proved again: here nothing needs care.
 */

/** A box as it was halved, or a part of it that was proved. */
export interface HalvedBox {
  /** What it was halved into; left out where it was proved. */
  halves?: { readonly input: number; readonly below: HalvedBox; readonly above: HalvedBox };
}

/** Neurons of ReLUs, each by its node of the network and its place there. */
export interface Neurons {
  readonly node: Int32Array;
  readonly neuron: Int32Array;
}

/** Slopes that bounds of one node's values were found with. */
export interface HiddenSlopes {
  /** The neurons before it that are unstable. */
  readonly neurons: Neurons;
  /** α of these in 255ths: by 2i for the lower end of value i, by 2i + 1 for the upper. */
  readonly rows: Map<number, Uint8Array>;
}

/** A part of a box that was proved: signs of ReLUs and what its bound was positive with. */
export interface ProvedPart {
  /** Decided neurons by their number among the unstable ones: i for z ≥ 0, ~i for z ≤ 0. */
  readonly decisions: readonly number[];
  /** α of the unstable neurons in 255ths. */
  readonly alpha: Uint8Array;
  /** β of the decisions. */
  readonly beta: readonly number[];
}

/** Polytopes of one box, by number, that halving its inputs proved. */
export interface HalvingTrace {
  readonly kind: 'halving';
  readonly polytopes: readonly number[];
  readonly whole: HalvedBox;
}

/** Polytopes of one box that were proved with its hidden bounds, some by the signs of ReLUs. */
export interface SignsTrace {
  readonly kind: 'signs';
  readonly polytopes: readonly number[];
  /** ReLU nodes of the network, in order, and how many neurons each has. */
  readonly relus: readonly { readonly node: number; readonly size: number }[];
  /** By ReLU node: how the bounds of what it reads were found. */
  readonly hidden: ReadonlyMap<number, HiddenSlopes>;
  /** The unstable neurons that parts are about. */
  readonly neurons: Neurons;
  /** Parts of each polytope, by number, that was divided; the row that they prove to be positive. */
  readonly divided: ReadonlyMap<
    number,
    { readonly row: Float64Array; readonly parts: readonly ProvedPart[] }
  >;
}

/** How polytopes of one box were proved. */
export type BoxTrace = HalvingTrace | SignsTrace;

/** A trace whose polytopes have other numbers. */
export const renumbered = (trace: BoxTrace, number: (polytope: number) => number): BoxTrace => {
  const polytopes = trace.polytopes.map(number);
  if (trace.kind === 'halving') return { ...trace, polytopes };
  const divided = new Map([...trace.divided].map(([polytope, proof]) => [number(polytope), proof]));
  return { ...trace, polytopes, divided };
};
