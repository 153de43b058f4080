/** Which arrays of a plan stay on a device, and how much of its memory they take. */
import type { Footprint } from '../../graph/footprint.js';
import { sizeOf } from '../../graph/tensor.js';
import { kindOf } from './stages/index.js';
import type { Residence } from './stages/kind.js';
import { onWay, type Plan, type Step } from './step.js';

export interface PlanResidence {
  /** Whether a device may hold arrays of the plan. */
  readonly stays: boolean;
  /** Outputs of its programs that only programs read. */
  readonly computed: ReadonlySet<string>;
  /** Steps that a device runs, if it holds arrays. */
  readonly onDevice: ReadonlySet<Step>;
  /** Whether an array that it is fed is read by programs alone. */
  reads(name: string): boolean;
}

const NOWHERE: PlanResidence = {
  stays: false,
  computed: new Set(),
  onDevice: new Set(),
  reads: () => false,
};

/**
 * Arrays of a plan, float32 or int32, that a device may hold from one program to the next. The host wants
 * results alone. Plans with float64, or with a step that does not fit a device, run through the host.
 */
export function planResidence({ programs, steps: all, results }: Plan): PlanResidence {
  const steps = onWay(all, 'programs');
  const hasDouble = programs.some(({ inputs, outputs }) =>
    [...inputs, ...outputs].some(({ dtype }) => dtype === 'float64'),
  );
  if (hasDouble || steps.some((step) => kindOf(step).fitsDevice?.(step) === false)) return NOWHERE;
  const ofHost = new Set(results);
  const computed = new Set<string>();
  const onDevice = new Set<Step>();
  const residence: Residence = {
    toHost(names) {
      for (const name of names) ofHost.add(name);
    },
    isOnHost: (name) => ofHost.has(name),
    computes(program) {
      for (const { name, dtype } of programs[program]?.outputs ?? [])
        if (dtype !== 'bool') computed.add(name);
    },
    toDevice: (step) => onDevice.add(step),
  };
  for (const step of steps) kindOf(step).place?.(step, residence);
  return {
    stays: true,
    computed: new Set([...computed].filter((name) => !ofHost.has(name))),
    onDevice,
    reads: (name) => !ofHost.has(name),
  };
}

/**
 * Arrays beside what programs compute that each gradient takes on a device where several programs add to it:
 * zeros, and two sums in turn.
 */
const SUMS = 3;

/**
 * Memory that a plan takes on a device: the program that takes the most, or all of them where each holds what
 * it once had (`perProgram`), beside what all of them hand on and the gradients that they add to.
 */
export function planFootprint(plan: Plan, perProgram = false): Footprint {
  const { computed, onDevice } = planResidence(plan);
  const programs = onWay(plan.programs, 'programs');
  const handedOn = programs.flatMap(({ outputs }) => outputs.filter(({ name }) => computed.has(name)));
  const steps = onWay(plan.steps, 'programs');
  const ofSteps = steps.map((step) => kindOf(step).deviceNumbers?.(step, plan, onDevice.has(step)) ?? 0);
  const adding = steps.filter((step) => kindOf(step).adds?.(step) !== undefined).length;
  const summed = adding > 1 ? plan.wrt.map(({ shape }) => SUMS * sizeOf(shape)) : [];
  const numbers = [...handedOn.map(({ shape }) => sizeOf(shape)), ...ofSteps, ...summed];
  const held = numbers.reduce((sum, count) => sum + 4 * count, 0);
  const footprints = programs.map(({ footprint }) => footprint);
  const peaks = footprints.map(({ peak }) => peak);
  const open = perProgram ? peaks.reduce((a, b) => a + b, 0) : Math.max(...peaks);
  return { peak: held + open, largest: Math.max(...footprints.map(({ largest }) => largest)) };
}
