/**
 * Robustness of a classifier at one image as a property: the classes that may overtake its label within the
 * ball.
 */
import type { Box, Polytope, Property } from './property.js';

/** The ball ‖x' − x‖∞ ≤ ε around images, in pixels of [0, 1]. */
export interface Ball {
  readonly epsilon: number;
  /** Whether it is cut to [0, 1]. */
  readonly clip: boolean;
}

/** The ball ‖x' − x‖∞ ≤ ε around one image x, [features], as a box. */
export function ballAround(image: Float32Array, { epsilon, clip }: Ball): Box {
  const end = (v: number): number => (clip ? Math.min(1, Math.max(0, v)) : v);
  return {
    lower: Float64Array.from(image, (v) => end(v - epsilon)),
    upper: Float64Array.from(image, (v) => end(v + epsilon)),
  };
}

/** f_y − f_j ≤ 0 over a box, one polytope for each of the classes j ≠ y. */
export function overtakingPolytopes(box: Box, label: number, classes: number): Polytope[] {
  return Array.from({ length: classes }, (_, j) => j)
    .filter((j) => j !== label)
    .map((j) => ({
      box,
      unsafe: [
        {
          outputs: Float64Array.from({ length: classes }, (_, k) => (k === label ? 1 : k === j ? -1 : 0)),
          bound: 0,
        },
      ],
    }));
}

/** No image of the ball around `image` is given another label. */
export const robustnessProperty = (
  image: Float32Array,
  label: number,
  ball: Ball,
  classes: number,
): Property => ({
  inputs: image.length,
  outputs: classes,
  polytopes: overtakingPolytopes(ballAround(image, ball), label, classes),
});
