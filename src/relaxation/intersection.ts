/**
 * The intersection of relaxations: each margin is bounded by the best of several lower bounds, which is a
 * lower bound too.
 *
 * At least as tight as each part; the gradient is that of the part which is best at that margin (CROWN-IBP
 * and IBP, say, which are not ordered). It costs what its parts cost together, less what they have in common:
 * intervals and stages are computed, and differentiated, once.
 */
import { maximum } from '../graph/index.js';
import type { Stage } from '../runtime/plan/plan.js';
import { withoutNormalization } from './front.js';
import type { Relaxation } from './relaxation.js';

/** Names of the arrays that a stage leaves. */
function written(stage: Stage): readonly string[] {
  // Formula disable: either name tells one stage from another
  if (stage.kind === 'row-kernel') return [stage.rows.refined.lower, stage.rows.refined.upper];
  if ('programs' in stage) return written(stage.programs);
  // Formula disable: likewise
  if (stage.kind === 'rows') return [stage.refined.lower, stage.refined.upper];
  return Object.keys(stage.kind === 'iterate' ? stage.state : stage.outputs);
}

/**
 * The stages of all parts. For one problem arrays of one name hold the same values (CROWN's bounds, of which
 * several relaxations are made), so a stage that writes nothing new is left out: run backwards twice, it
 * would count its derivative twice.
 */
export function mergedStages(parts: readonly (readonly Stage[])[]): Stage[] {
  const known = new Set<string>();
  return parts.flatMap((stages) => {
    const fresh = stages.filter((stage) => !written(stage).every((name) => known.has(name)));
    for (const name of stages.flatMap(written)) known.add(name);
    return fresh;
  });
}

/**
 * The element-wise greatest of the parts' margins; its name joins theirs by "+". @throws RangeError without
 * parts, or if one comes twice
 */
export function intersection(parts: readonly Relaxation[]): Relaxation {
  const names = parts.map(({ name }) => name);
  if (parts.length === 0 || new Set(names).size < names.length)
    throw new RangeError(
      `intersection: expected different relaxations, got ${names.join('+') || 'none'}; name each once`,
    );
  if (parts.length === 1) return parts[0] as Relaxation;
  return {
    name: names.join('+'),
    differentiable: parts.every(({ differentiable }) => differentiable),
    bound(original) {
      // One problem for all parts: intervals that several of them need are the same tensors.
      const problem = withoutNormalization(original);
      const results = parts.map((part) => part.bound(problem));
      return {
        stages: mergedStages(results.map(({ stages }) => stages)),
        margins: results.map(({ margins }) => margins).reduce((a, b) => maximum(a, b)),
      };
    },
  };
}
