import type { Footprint } from '../graph/footprint.js';
import { sizeOf } from '../graph/tensor.js';
import type { Plan } from './plan.js';

export interface ProgramArraysOf {
  /** Outputs of its programs. */
  readonly made: ReadonlySet<string>;
  /** Whether an array that it is fed is read by programs alone. */
  reads(name: string): boolean;
}

/**
 * Arrays of a plan that only its programs read and write, float32 or int32: a device may keep them from one program to the next. Results,
 * bounds by which rows are chosen, gradients and what is iterated are the host's. Plans with float64 run on the host.
 */
export function programArrays({ programs, steps, results }: Plan): ProgramArraysOf {
  if (programs.some(({ inputs, outputs }) => [...inputs, ...outputs].some(({ dtype }) => dtype === 'float64'))) return { made: new Set(), reads: () => false };
  const ofHost = new Set(results);
  const made = new Set<string>();
  for (const step of steps) {
    if (step.kind === 'run') {
      for (const { name, dtype } of programs[step.program]?.outputs ?? []) if (dtype !== 'bool') made.add(name);
      for (const [output] of step.accumulate) ofHost.add(output);
    } else if (step.kind === 'iterate') for (const name of [...Object.entries(step.state).flat(), step.until ?? '', step.deadline ?? '']) ofHost.add(name);
    else if (step.kind !== 'host') for (const { lower, upper } of [step.rows.cheap, step.rows.refined]) ofHost.add(lower).add(upper);
  }
  return { made: new Set([...made].filter((name) => !ofHost.has(name))), reads: (name) => !ofHost.has(name) };
}

/** Arrays beside what programs make that each gradient takes on a device where several programs add to it: zeros, and two sums in turn. */
const SUMS = 3;

/** What a plan takes of a device's memory: the program that takes the most, beside what all of them hand on and the gradients that they add to. */
export function planFootprint(plan: Plan): Footprint {
  const { made } = programArrays(plan);
  const handedOn = plan.programs.flatMap(({ outputs }) => outputs.filter(({ name }) => made.has(name)));
  const adding = plan.steps.filter((step) => step.kind === 'rows-gradient' || (step.kind === 'run' && step.accumulate.length > 0)).length;
  const summed = adding > 1 ? plan.wrt.map(({ shape }) => SUMS * sizeOf(shape)) : [];
  const kept = [...handedOn.map(({ shape }) => sizeOf(shape)), ...summed].reduce((sum, size) => sum + 4 * size, 0);
  const footprints = plan.programs.map(({ footprint }) => footprint);
  return { peak: kept + Math.max(...footprints.map(({ peak }) => peak)), largest: Math.max(...footprints.map(({ largest }) => largest)) };
}
