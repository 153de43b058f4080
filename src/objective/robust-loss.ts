/**
 * What a training method is: for a micro-batch, a loss of each image under attack and how to compute it. One
 * file per method; the objective adds the natural loss, the regularisers and the weights of images, and knows
 * none of them.
 */
import type { FloatType, Tensor } from '../graph/index.js';
import type { Network, Parameters } from '../network/network.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import type { Stage } from '../runtime/plan/plan.js';

/** A micro-batch as graph tensors. */
export interface RobustProblem {
  readonly network: Network;
  readonly parameters: Parameters;
  /** Pixels in [0, 1], [features, batch]. */
  readonly x: Tensor;
  /** [batch], int32. */
  readonly labels: Tensor;
  /** Weight of each image in the loss, 1/batch, and 0 for padding; [1, batch]. */
  readonly weight: Tensor;
  /** Radius of the ball, a scalar, in pixels of [0, 1]. */
  readonly epsilon: Tensor;
  /** Whether the ball is cut to [0, 1]. */
  readonly clip: boolean;
  readonly batch: number;
  readonly dtype: FloatType;
}

/** The graph of a robust loss. */
export interface RobustGraph {
  /** Computations to run before the loss, in order. */
  readonly stages: readonly Stage[];
  /** Robust loss of each image, [1, batch]. */
  readonly loss: Tensor;
  /**
   * Margins [1, batch] whose positive ones are counted, by what the count is called: `certified` only where
   * they prove the whole ball.
   */
  readonly counts: Readonly<Record<string, Tensor>>;
  /**
   * Inputs of the program that take numbers uniform on [0, 1), [batch, n]: their names, and n for one image.
   */
  readonly noise: Readonly<Record<string, number>>;
}

/** A training method: from network, images and ball to the robust loss of each image. */
export interface RobustLoss {
  readonly name: string;
  /** Whether the loss has a useful derivative in the parameters. */
  readonly differentiable: boolean;
  /** The relaxation, if the loss is the cross-entropy of its margins over the whole ball and nothing else. */
  readonly bound?: Relaxation;
  /** @throws RangeError in one line for a network that the method cannot train */
  build(problem: RobustProblem): RobustGraph;
}
