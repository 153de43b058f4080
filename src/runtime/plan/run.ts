/** One run of a plan under way, as its steps see it: the executor (`execution/`) implements it. */
import type { DType, HostData } from '../../graph/tensor.js';
import type { DeviceArray } from '../device/array.js';
import type { Plan } from './step.js';

export type Floats = Float32Array | Float64Array;

/** Arrays of the host, by name. */
export type Feeds = Readonly<Record<string, HostData>>;

/** Arrays of the host, or on the device (`device/array`), by name. */
export type ProgramArrays = Readonly<Record<string, HostData | DeviceArray>>;

/** Sets of parameters that a plan of values is run at, one after the other. */
export interface Members {
  /** [members, coordinates]. */
  readonly points: Floats;
  readonly coordinates: number;
  /** Where each parameter array lies in a member's coordinates. */
  readonly layout: readonly { readonly name: string; readonly offset: number; readonly size: number }[];
}

export interface Run {
  readonly plan: Plan;
  /** Feeds and arrays that steps have computed, by name. */
  readonly arrays: Map<string, HostData | DeviceArray>;
  /** Whether gradients are summed on the device. */
  readonly sumsOnDevice: boolean;
  /** Whether an array that a program computes stays on the device, for other programs alone. */
  stays(name: string): boolean;
  /** Adds an array to a gradient, by its name. The first addend becomes the sum. */
  addGradient(name: string, addend: Floats | DeviceArray): Promise<void>;
  /**
   * Runs a program of the plan; `extra` comes before what is known by name, and outputs that `into` names go
   * there.
   */
  call(program: number, extra?: ProgramArrays, into?: ProgramArrays): Promise<Record<string, HostData>>;
  /** Runs a plan of one program that is not part of this one. */
  compute(plan: Plan, feeds: ProgramArrays, into: ProgramArrays): Promise<Feeds>;
  /** A copy on the host. */
  read(array: DeviceArray): Promise<HostData>;
  /** A value made once for this plan, the same in every run; `id` is for plans that belong to it. */
  remember<Value>(name: string, make: (id: string) => Value): Value;
  /** An array of the plan, the same in every run and zero at first; the device's if it holds arrays. */
  planArray(name: string, dtype: DType, size: number): Promise<HostData | DeviceArray>;
  /** Zeros that nothing writes to. */
  zeros(dtype: DType, size: number): Promise<HostData | DeviceArray>;
  /** Plan arrays for the outputs of a program that `nameOf` names, if the device holds arrays. */
  places(
    program: number,
    nameOf: (output: string) => string | undefined,
  ): Promise<Record<string, HostData | DeviceArray>>;
}
