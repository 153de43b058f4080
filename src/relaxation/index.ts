/** Relaxations by name. To add one: one file that exports a Relaxation, and its line here. */
import { alphaCrown } from './alpha-crown.js';
import { crown } from './crown.js';
import { crownIbp } from './crown-ibp.js';
import { exact } from './exact.js';
import { hybridZonotope } from './hybrid-zonotope.js';
import { intersection } from './intersection.js';
import { interval } from './interval.js';
import { linearProgram } from './linear-program.js';
import type { Relaxation } from './relaxation.js';
import { zonotope } from './zonotope.js';

export const relaxations = {
  ibp: interval,
  hbox: hybridZonotope,
  deepz: zonotope,
  'crown-ibp': crownIbp,
  crown,
  'alpha-crown': alphaCrown,
  lp: linearProgram,
  exact,
} as const satisfies Record<string, Relaxation>;
export type RelaxationName = keyof typeof relaxations;

/** The relaxation of a name, or the intersection of several joined by "+" (`ibp+crown-ibp`). @throws RangeError for an unknown name or one that repeats */
export function relaxationNamed(name: string): Relaxation {
  const parts = name.split('+').map((part) => {
    if (!Object.hasOwn(relaxations, part))
      throw new RangeError(`relaxation ${name}: expected one of ${Object.keys(relaxations).join(', ')}, or several joined by +, got "${part}"; check the name`);
    return relaxations[part as RelaxationName];
  });
  return intersection(parts);
}

export { type AlphaCrownOptions, alphaCrownWith } from './alpha-crown.js';
export { exactWith } from './exact.js';
export { intersection } from './intersection.js';
export { linearProgramWith } from './linear-program.js';
export * from './relaxation.js';
export type { SolverRelaxationOptions } from './relu-stages.js';
