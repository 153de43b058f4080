/**
 * The set of inputs that an adversary may choose: an L∞ ball of radius ε pixels around each image, cut to [0,
 * 1] unless told otherwise.
 */
import { add, maximum, minimum, sub, type Tensor } from '../graph/index.js';
import type { Bounds } from '../relaxation/relaxation.js';

interface Made {
  readonly epsilon: Tensor | number;
  readonly clip: boolean;
  readonly box: Bounds;
}
const made = new WeakMap<Tensor, Made[]>();

/**
 * Box around x [features, batch]; ε is a scalar tensor or a number, in pixels of [0, 1]. Asked again, the
 * same tensors: what is bounded over one box by several terms of a loss is then differentiated once.
 */
export function inputBox(x: Tensor, epsilon: Tensor | number, clip = true): Bounds {
  const known = made.get(x) ?? [];
  const found = known.find((entry) => entry.epsilon === epsilon && entry.clip === clip);
  if (found) return found.box;
  const lower = sub(x, epsilon);
  const upper = add(x, epsilon);
  const box = clip ? { lower: maximum(lower, 0), upper: minimum(upper, 1) } : { lower, upper };
  made.set(x, [...known, { epsilon, clip, box }]);
  return box;
}
