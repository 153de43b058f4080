/** One run of a plan under way: what its steps share. */
import type { DType, HostData } from '../graph/tensor.js';
import type { DeviceArray, DeviceArrays } from './device-array.js';
import type { GradientSums } from './gradient-sums.js';
import type { Plan } from './plan.js';
import type { ProgramArrays } from './session.js';

export type Floats = Float32Array | Float64Array;

export interface Run {
  readonly plan: Plan;
  /** What was fed and what steps have made, by name. */
  readonly arrays: Map<string, HostData | DeviceArray>;
  /** Copies on the device of arrays that the host works on, too: programs read these. */
  readonly mirrors: Map<string, DeviceArray>;
  readonly sums: GradientSums;
  /** The rows that each rows stage chose for each member, by the name of its lower bounds. */
  readonly selections: Map<string, Int32Array[]>;
  /** Where arrays stay, if the device keeps them. */
  readonly device: DeviceArrays | undefined;
  /** Runs a program of the plan; `extra` comes before what is known by name, and outputs that `into` names go there. */
  call(program: number, extra?: ProgramArrays, into?: ProgramArrays): Promise<Record<string, HostData>>;
  /** An array of the plan's own, the same in every run and zero at first; the device's if it keeps arrays. */
  own(name: string, dtype: DType, size: number): Promise<HostData | DeviceArray>;
  /** Own arrays for the outputs of a program for which `nameOf` has a name, if the device keeps arrays. */
  places(program: number, nameOf: (output: string) => string | undefined): Promise<Record<string, HostData | DeviceArray>>;
}

/** Gives an array of the host a copy on the device, if it keeps arrays, so that it goes there once for all programs. */
export async function mirror({ device, mirrors, own }: Run, name: string, data: HostData): Promise<void> {
  if (device === undefined || !(data instanceof Float32Array)) return;
  const copy = (await own(`${name} there`, 'float32', data.length)) as DeviceArray;
  await device.write(copy, data);
  mirrors.set(name, copy);
}
