import type { Box } from './bounds.js';

/** c·y + d·x ≤ bound: numbers of outputs and inputs with their factors, which add up. */
export interface Row {
  readonly outputs: readonly (readonly [number, number])[];
  readonly inputs: readonly (readonly [number, number])[];
  readonly bound: number;
}
export interface Polytope extends Box {
  readonly rows: readonly Row[];
}
export declare function readVnnlib(text: string, inputs: number, outputs: number): Polytope[];
