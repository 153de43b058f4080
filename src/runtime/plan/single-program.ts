/** Plans of one program, and what all plans share: their numbers, and programs in shared memory. */

import { type EncodedProgram, encodeProgram } from '../../graph/encode.js';
import type { Tensor } from '../../graph/tensor.js';
import { sharedBuffer } from '../shared-memory.js';
import type { Plan, Step } from './step.js';

/** The step that runs one program (`stages/whole`). */
export interface WholeStep extends Step {
  readonly kind: 'whole';
  readonly program: number;
  /** Outputs that are added to the gradient of their name; others are arrays of the run. */
  readonly gradients: readonly string[];
}

export const wholeStep = (program: number, gradients: readonly string[] = []): WholeStep => ({
  kind: 'whole',
  program,
  gradients,
});

let plans = 0;

/** A new plan's id, unique in its thread. */
export const newPlanId = (): string => `plan-${plans++}`;

/** The same program in shared memory: sending a plan to a worker copies no bytes. */
export function inSharedBytes(program: EncodedProgram): EncodedProgram {
  const bytes = new Uint8Array(sharedBuffer(program.bytes.length));
  bytes.set(program.bytes);
  return { ...program, bytes };
}

/** A plan of one program without derivatives. */
export const programPlan = (outputs: Readonly<Record<string, Tensor>>): Plan => ({
  id: newPlanId(),
  programs: [inSharedBytes(encodeProgram(outputs))],
  steps: [wholeStep(0)],
  results: Object.keys(outputs),
  wrt: [],
});
