/** Which arrays of a plan a device may have to itself, and how much of its memory they take. */
import type { Footprint } from '../../graph/footprint.js';
import { sizeOf } from '../../graph/tensor.js';
import { choosesThere } from '../execution/row-programs.js';
import type { IterateStep, Plan } from './plan.js';

export interface ProgramArraysOf {
  /** Whether a device may have arrays of the plan to itself. */
  readonly stays: boolean;
  /** Outputs of its programs that only programs read. */
  readonly made: ReadonlySet<string>;
  /** Iterated stages whose state is nothing to the host, but for what ends them early. */
  readonly loops: ReadonlySet<IterateStep>;
  /** Whether an array that it is fed is read by programs alone. */
  reads(name: string): boolean;
}

/**
 * Arrays of a plan, float32 or int32, that a device may keep from one program to the next. The host wants
 * results alone. Plans with float64, or with more rows than programs can choose from, run through the host.
 */
export function programArrays({ programs, steps: all, results }: Plan): ProgramArraysOf {
  const steps = all.filter((step) => !('path' in step) || step.path !== 'kernel');
  const hasDouble = programs.some(({ inputs, outputs }) =>
    [...inputs, ...outputs].some(({ dtype }) => dtype === 'float64'),
  );
  const hasTooMany = steps.some(
    (step) => (step.kind === 'rows' || step.kind === 'rows-gradient') && !choosesThere(step.rows),
  );
  if (hasDouble || hasTooMany) return { stays: false, made: new Set(), loops: new Set(), reads: () => false };
  const ofHost = new Set(results);
  const made = new Set<string>();
  for (const step of steps) {
    if (step.kind !== 'run') continue;
    for (const { name, dtype } of programs[step.program]?.outputs ?? []) if (dtype !== 'bool') made.add(name);
    for (const [output] of step.accumulate) ofHost.add(output);
  }
  const loops = new Set<IterateStep>();
  for (const step of steps) {
    if (step.kind !== 'iterate') continue;
    if (step.deadline !== undefined) ofHost.add(step.deadline);
    if (Object.keys(step.state).every((name) => !ofHost.has(name))) loops.add(step);
    else for (const name of Object.entries(step.state).flat()) ofHost.add(name);
  }
  return {
    stays: true,
    made: new Set([...made].filter((name) => !ofHost.has(name))),
    loops,
    reads: (name) => !ofHost.has(name),
  };
}

/**
 * Arrays beside what programs make that each gradient takes on a device where several programs add to it:
 * zeros, and two sums in turn.
 */
const SUMS = 3;

/**
 * Arrays of the size of its bounds that a rows stage takes there: which rows there are, bounds by turns,
 * indices, and what choosing them takes.
 */
const ROWS = 16;

/**
 * What a plan takes of a device's memory: the program that takes the most, or all of them where each keeps
 * what it once had (`perProgram`), beside what all of them hand on and the gradients that they add to.
 */
export function planFootprint(plan: Plan, perProgram = false): Footprint {
  const { made, loops } = programArrays(plan);
  const handedOn = plan.programs.flatMap(({ outputs }) => outputs.filter(({ name }) => made.has(name)));
  // A loop writes to two arrays by turns.
  const turns = [...loops]
    .flatMap(({ program }) => plan.programs[program]?.outputs ?? [])
    .map(({ shape }) => 2 * sizeOf(shape));
  const adding = plan.steps.filter(
    (step) =>
      step.kind === 'rows-gradient' ||
      (step.kind === 'run' && step.path !== 'kernel' && step.accumulate.length > 0),
  ).length;
  const summed = adding > 1 ? plan.wrt.map(({ shape }) => SUMS * sizeOf(shape)) : [];
  const chosen = plan.steps.flatMap((step) =>
    step.kind === 'rows' ? [ROWS * (step.rows.members ?? 1) * sizeOf(step.rows.shape)] : [],
  );
  const kept = [...handedOn.map(({ shape }) => sizeOf(shape)), ...turns, ...chosen, ...summed].reduce(
    (sum, size) => sum + 4 * size,
    0,
  );
  const footprints = plan.programs.map(({ footprint }) => footprint);
  const peaks = footprints.map(({ peak }) => peak);
  const open = perProgram ? peaks.reduce((a, b) => a + b, 0) : Math.max(...peaks);
  return { peak: kept + open, largest: Math.max(...footprints.map(({ largest }) => largest)) };
}
