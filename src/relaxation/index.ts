/** Relaxations by name. To add one: one file that exports a Relaxation, and its line here. */

import { intersection } from './intersection.js';
import { interval } from './interval.js';
import { alphaCrown } from './linear/alpha-crown.js';
import { crown, crownAll } from './linear/crown.js';
import { crownIbp } from './linear/crown-ibp.js';
import { deepPoly, nestedCrownIbp } from './linear/nested.js';
import type { Relaxation } from './relaxation.js';
import { exact } from './solver/exact.js';
import { linearProgram } from './solver/linear-program.js';
import { hybridZonotope } from './zonotope/hybrid-zonotope.js';
import { zonotope } from './zonotope/zonotope.js';

/** Every relaxation by its name. */
export const relaxations = {
  ibp: interval,
  hbox: hybridZonotope,
  deepz: zonotope,
  'crown-ibp': crownIbp,
  crown,
  'crown-all': crownAll,
  'nested-crown-ibp': nestedCrownIbp,
  deeppoly: deepPoly,
  'alpha-crown': alphaCrown,
  lp: linearProgram,
  exact,
} as const satisfies Record<string, Relaxation>;
export type RelaxationName = keyof typeof relaxations;

/** Joins relaxations to their intersection, the best bound of each margin: `ibp+crown-ibp`. */
export const INTERSECTION = '+';

/**
 * The relaxation of a name, or the intersection of several joined by "+" (`ibp+crown-ibp`). @throws
 * RangeError for an unknown name or one that repeats
 */
export function relaxationNamed(name: string): Relaxation {
  const parts = name.split(INTERSECTION).map((part) => {
    if (!Object.hasOwn(relaxations, part))
      throw new RangeError(
        `relaxation ${name}: expected one of ${Object.keys(relaxations).join(', ')}, or several joined ` +
          `by +, got "${part}"; check the name`,
      );
    return relaxations[part as RelaxationName];
  });
  return intersection(parts);
}

export { intersection } from './intersection.js';
export { type AlphaCrownOptions, alphaCrownWith } from './linear/alpha-crown.js';
export * from './relaxation.js';
export { exactWith } from './solver/exact.js';
export { linearProgramWith } from './solver/linear-program.js';
export type { SolverRelaxationOptions } from './solver/relu-stages.js';
