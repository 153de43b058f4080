/**
 * What a smooth activation function is: everything that layers, files and relaxations need to know of one, in
 * one place.
 *
 * All of them are S-shaped: increasing, convex below 0 and concave above, like sigmoid and tanh. To add one:
 * a file that exports it, and its line in `index.ts`.
 */
import type { Tensor } from '../../graph/index.js';

export interface ActivationFunction {
  /** f(x) */
  value(x: Tensor): Tensor;
  /** f'(x), to full relative accuracy also where f is flat: lines multiply it with long distances. */
  derivative(x: Tensor): Tensor;
  /** f''(x) */
  secondDerivative(x: Tensor): Tensor;
  /**
   * About the t ≥ 0 at which the tangent from the point of f at −reach touches it, f'(t)(t + reach) = f(t) −
   * f(−reach), for reach ≥ 0: where Newton's method begins. Its error costs tightness, never soundness.
   */
  touching(reach: Tensor): Tensor;
  /** Name of the ONNX operator. */
  readonly onnx: string;
}
