/** One run of a plan under way: what its steps share. */
import type { DType, HostData } from '../../graph/tensor.js';
import type { DeviceArray } from '../device/array.js';
import type { Plan } from '../plan/plan.js';
import type { GradientSums } from './gradient-sums.js';
import type { ChosenRows } from './row-programs.js';
import type { ProgramArrays } from './session.js';

export type Floats = Float32Array | Float64Array;

export interface Run {
  readonly plan: Plan;
  /** What was fed and what steps have made, by name. */
  readonly arrays: Map<string, HostData | DeviceArray>;
  readonly sums: GradientSums;
  /**
   * The rows that each rows stage chose for each member, by the name of its lower bounds: on the host, and
   * where programs chose them.
   */
  readonly selections: Map<string, Int32Array[]>;
  readonly chosen: Map<string, ChosenRows>;
  /**
   * Runs a program of the plan; `extra` comes before what is known by name, and outputs that `into` names go
   * there.
   */
  call(program: number, extra?: ProgramArrays, into?: ProgramArrays): Promise<Record<string, HostData>>;
  /** Runs a plan of one program that is not part of this one. */
  compute(plan: Plan, feeds: ProgramArrays, into: ProgramArrays): Promise<Readonly<Record<string, HostData>>>;
  /** A copy on the host. */
  read(array: DeviceArray): Promise<HostData>;
  /** What `make` makes for this plan, the same in every run; `id` is for plans that belong to it. */
  remember<Made>(name: string, make: (id: string) => Made): Made;
  /** An array of the plan's own, the same in every run and zero at first; the device's if it keeps arrays. */
  own(name: string, dtype: DType, size: number): Promise<HostData | DeviceArray>;
  /** Own arrays for the outputs of a program for which `nameOf` has a name, if the device keeps arrays. */
  places(
    program: number,
    nameOf: (output: string) => string | undefined,
  ): Promise<Record<string, HostData | DeviceArray>>;
}
