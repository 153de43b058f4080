/** Relaxations by name. To add one: one file that exports a Relaxation, and its line here. */
import { crown } from './crown.js';
import { crownIbp } from './crown-ibp.js';
import { interval } from './interval.js';
import type { Relaxation } from './relaxation.js';

export const relaxations = { ibp: interval, 'crown-ibp': crownIbp, crown } as const satisfies Record<string, Relaxation>;
export type RelaxationName = keyof typeof relaxations;

export * from './relaxation.js';
