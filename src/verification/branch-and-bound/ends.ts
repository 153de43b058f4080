/** Bounds as the search holds them. */
import type { Floats } from './engine.js';

/** Ends of a box or of a layer's values, of the engine's type. */
export interface Ends {
  readonly lower: Floats;
  readonly upper: Floats;
}

/** By node, ReLU or smooth activation: bounds of its input. */
export type HiddenBounds = ReadonlyMap<number, Ends>;
