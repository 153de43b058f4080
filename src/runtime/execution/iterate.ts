/**
 * Runs an iterated stage: on the host what its program makes is copied and fed to it again, on a device it is
 * written by turns to two arrays.
 */
import { type HostData, hostArray, sizeOf } from '../../graph/tensor.js';
import type { DeviceArray } from '../device/array.js';
import { firstName } from '../plan/member-axis.js';
import { type IterateStep, nextName } from '../plan/plan.js';
import { ofMembers } from './row-selection.js';
import type { Floats, Run } from './run.js';

/** The arrays that the loop begins with, by their names in the state. */
function begin({ arrays }: Run, { state }: IterateStep): void {
  for (const [name, from] of Object.entries(state)) {
    const first = arrays.get(from);
    if (first === undefined) throw new Error(`plan: nothing provides the array ${from}`);
    arrays.set(name, first);
  }
}

/** The scalars of repetition k. */
function scalarsOf(
  { plan }: Run,
  { program, schedule = {} }: IterateStep,
  k: number,
): Record<string, HostData> {
  const scalars: Record<string, HostData> = {};
  for (const { name, dtype } of plan.programs[program]?.inputs ?? []) {
    const values = schedule[name];
    if (values === undefined) continue;
    scalars[name] = hostArray(dtype, 1);
    scalars[name][0] = values[k] as number;
  }
  return scalars;
}

/**
 * Whether the loop has come to what it is for, or to its time. `until` are the values of the array that it is
 * run for.
 */
function isOver({ arrays }: Run, { deadline = '' }: IterateStep, until: Floats | undefined): boolean {
  if (until?.every((value) => value > 0)) return true;
  return Date.now() > ((arrays.get(deadline) as Floats | undefined)?.[0] ?? Number.POSITIVE_INFINITY);
}

export async function iterate(run: Run, step: IterateStep): Promise<void> {
  const { plan, arrays, call } = run;
  const { program, count, state, until } = step;
  begin(run, step);
  for (const { name, shape } of plan.programs[program]?.inputs ?? [])
    if (state[name] !== undefined) arrays.set(name, ofMembers(arrays.get(name) as HostData, sizeOf(shape)));
  for (let k = 0; k < count; k++) {
    const made = await call(program, scalarsOf(run, step, k));
    // What the program made is overwritten while it reads it the next time: it must read a copy, the first of
    // which is used again.
    for (const name of Object.keys(state)) {
      const value = made[nextName(name)] as HostData;
      if (k === 0) arrays.set(name, value.slice());
      else (arrays.get(name) as HostData).set(value);
    }
    if (isOver(run, step, until === undefined ? undefined : (arrays.get(until) as Floats))) break;
  }
}

/** The same on a device that keeps the state; what ends the loop early comes back. */
export async function iterateThere(run: Run, step: IterateStep): Promise<void> {
  const { arrays, call, places, read } = run;
  const { program, count, state, until } = step;
  begin(run, step);
  if (step.begin !== undefined) {
    const lifted = await places(step.begin, (output) => output);
    await call(step.begin, {}, lifted);
    for (const name of Object.keys(state)) {
      const first = lifted[firstName(name)];
      if (first !== undefined) arrays.set(name, first);
    }
  }
  for (let k = 0; k < count; k++) {
    const into = await places(program, (output) => `${output} ${k % 2}`);
    await call(program, scalarsOf(run, step, k), into);
    for (const name of Object.keys(state)) arrays.set(name, into[nextName(name)] as DeviceArray);
    if (
      isOver(
        run,
        step,
        until === undefined ? undefined : ((await read(arrays.get(until) as DeviceArray)) as Floats),
      )
    )
      break;
  }
}
