/**
 * The intersection of relaxations: each margin is bounded by the best of several lower bounds, which is a lower bound too.
 *
 * At least as tight as each part; the gradient is that of the part which is best at that margin (CROWN-IBP and IBP, say, which are not
 * ordered). It costs what its parts cost together, less what they have in common: equal parts of their graphs are computed once.
 */
import { maximum } from '../graph/index.js';
import { withoutNormalization } from './front.js';
import type { Relaxation } from './relaxation.js';

/** The element-wise greatest of the parts' margins; its name joins theirs by "+". @throws RangeError without parts, or if one comes twice */
export function intersection(parts: readonly Relaxation[]): Relaxation {
  const names = parts.map(({ name }) => name);
  if (parts.length === 0 || new Set(names).size < names.length)
    throw new RangeError(`intersection: expected different relaxations, got ${names.join('+') || 'none'}; name each once`);
  if (parts.length === 1) return parts[0] as Relaxation;
  return {
    name: names.join('+'),
    differentiable: parts.every(({ differentiable }) => differentiable),
    bound(original) {
      // One problem for all parts: intervals that several of them need are the same tensors, and are differentiated once.
      const problem = withoutNormalization(original);
      const results = parts.map((part) => part.bound(problem));
      return { stages: results.flatMap(({ stages }) => stages), margins: results.map(({ margins }) => margins).reduce((a, b) => maximum(a, b)) };
    },
  };
}
