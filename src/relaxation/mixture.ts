/**
 * A mixture of two relaxations: margins (1 − β)·loose + β·tight, with β ∈ [0, 1] an input of the program
 * (Zhang et al. 2020, arXiv 1906.06316, for IBP and CROWN-IBP).
 *
 * Both are lower bounds, so every mixture is one. Its loss moves from the smooth landscape of the loose bound
 * to that of the tight one as β grows: a curriculum.
 */
import { add, type FloatType, input, mul, sub } from '../graph/index.js';
import { withoutNormalization } from './front.js';
import { mergedStages } from './intersection.js';
import type { Relaxation } from './relaxation.js';

/** Name of the program's scalar input β. */
export const BETA = 'beta';

/** (1 − β)·loose + β·tight. @throws RangeError for a relaxation with itself */
export function mixture(loose: Relaxation, tight: Relaxation): Relaxation {
  if (loose.name === tight.name)
    throw new RangeError(`mixture: expected two different relaxations, got ${loose.name} twice`);
  return {
    name: `${loose.name}→${tight.name}`,
    differentiable: loose.differentiable && tight.differentiable,
    bound(original) {
      // One problem for both: intervals that they have in common are the same tensors.
      const problem = withoutNormalization(original);
      const [from, to] = [loose.bound(problem), tight.bound(problem)];
      const beta = input(BETA, [], problem.box.lower.dtype as FloatType);
      return {
        stages: mergedStages([from.stages, to.stages]),
        margins: add(from.margins, mul(sub(to.margins, from.margins), beta)),
      };
    },
  };
}
