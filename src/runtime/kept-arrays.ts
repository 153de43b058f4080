import type { Footprint } from '../graph/footprint.js';
import { sizeOf } from '../graph/tensor.js';
import type { Plan, Step } from './plan.js';

export interface ProgramArraysOf {
  /** Outputs of its programs that only programs read. */
  readonly made: ReadonlySet<string>;
  /** Outputs that the host works on and programs read, too. */
  readonly worked: ReadonlySet<string>;
  /** Iterated stages of which the host sees nothing on the way. */
  readonly loops: ReadonlySet<Step>;
  /** Whether an array that it is fed is read by programs alone. */
  reads(name: string): boolean;
}

const NOTHING: ProgramArraysOf = { made: new Set(), worked: new Set(), loops: new Set(), reads: () => false };

/**
 * Arrays of a plan, float32 or int32, that a device may keep from one program to the next. The host wants results, bounds by which rows are
 * chosen, gradients, and what is iterated until it has seen enough. Plans with float64 run on the host.
 */
export function programArrays({ programs, steps, results }: Plan): ProgramArraysOf {
  if (programs.some(({ inputs, outputs }) => [...inputs, ...outputs].some(({ dtype }) => dtype === 'float64'))) return NOTHING;
  const ofHost = new Set(results);
  const worked = new Set<string>();
  const made = new Set<string>();
  for (const step of steps) {
    if (step.kind === 'run') {
      for (const { name, dtype } of programs[step.program]?.outputs ?? []) if (dtype !== 'bool') made.add(name);
      for (const [output] of step.accumulate) ofHost.add(output);
    } else if (step.kind === 'rows' || step.kind === 'rows-gradient')
      for (const { lower, upper } of [step.rows.cheap, step.rows.refined]) for (const name of [lower, upper]) worked.add(name);
  }
  const loops = new Set<Step>();
  for (const step of steps) {
    if (step.kind !== 'iterate') continue;
    const names = Object.entries(step.state).flat();
    const isSeen = step.until !== undefined || step.deadline !== undefined || Object.keys(step.state).some((name) => ofHost.has(name) || worked.has(name));
    if (!isSeen) loops.add(step);
    else for (const name of [...names, step.deadline ?? '']) ofHost.add(name);
  }
  const isOfHost = (name: string) => ofHost.has(name) || worked.has(name);
  return {
    made: new Set([...made].filter((name) => !isOfHost(name))),
    worked: new Set([...made].filter((name) => worked.has(name) && !ofHost.has(name))),
    loops,
    reads: (name) => !isOfHost(name),
  };
}

/** Arrays beside what programs make that each gradient takes on a device where several programs add to it: zeros, and two sums in turn. */
const SUMS = 3;

/** What a plan takes of a device's memory: the program that takes the most, beside what all of them hand on and the gradients that they add to. */
export function planFootprint(plan: Plan): Footprint {
  const { made, worked, loops } = programArrays(plan);
  const handedOn = plan.programs.flatMap(({ outputs }) => outputs.filter(({ name }) => made.has(name) || worked.has(name)));
  // A loop writes to two arrays by turns.
  const turns = [...loops]
    .flatMap((step) => (step.kind === 'iterate' ? (plan.programs[step.program]?.outputs ?? []) : []))
    .map(({ shape }) => 2 * sizeOf(shape));
  const adding = plan.steps.filter((step) => step.kind === 'rows-gradient' || (step.kind === 'run' && step.accumulate.length > 0)).length;
  const summed = adding > 1 ? plan.wrt.map(({ shape }) => SUMS * sizeOf(shape)) : [];
  const mirrors = plan.steps.flatMap((step) => (step.kind === 'rows' ? [2 * (step.rows.members ?? 1) * sizeOf(step.rows.shape)] : []));
  const kept = [...handedOn.map(({ shape }) => sizeOf(shape)), ...turns, ...mirrors, ...summed].reduce((sum, size) => sum + 4 * size, 0);
  const footprints = plan.programs.map(({ footprint }) => footprint);
  return { peak: kept + Math.max(...footprints.map(({ peak }) => peak)), largest: Math.max(...footprints.map(({ largest }) => largest)) };
}
