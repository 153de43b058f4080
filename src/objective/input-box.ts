/** The set of inputs that an adversary may choose: an L∞ ball of radius ε pixels around each image, cut to [0, 1] unless told otherwise. */
import { add, maximum, minimum, sub, type Tensor } from '../graph/index.js';
import type { Bounds } from '../relaxation/relaxation.js';

/** Box around x [features, batch]; ε is a scalar tensor or a number, in pixels of [0, 1]. */
export function inputBox(x: Tensor, epsilon: Tensor | number, clip = true): Bounds {
  const lower = sub(x, epsilon);
  const upper = add(x, epsilon);
  return clip ? { lower: maximum(lower, 0), upper: minimum(upper, 1) } : { lower, upper };
}
