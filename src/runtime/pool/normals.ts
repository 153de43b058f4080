/**
 * The normal numbers of a step's calls on one executor: drawn when a call needs them, for all calls that fit
 * one run.
 */
import type { DeviceArray } from '../device/array.js';
import type { Executor } from '../execution/executor.js';
import type { ProgramArrays } from '../plan/run.js';
import type { Key } from '../random/keys.js';
import { keyWords } from '../random/threefry-graph.js';
import { type NormalPrograms, normalsName } from './normal-programs.js';
import type { WeighTask, WeightedSums } from './task.js';

export interface KeptNormals {
  /** z [keys, size] of a call, good until z of another run is asked for. */
  of(
    programs: NormalPrograms,
    calls: readonly (readonly Key[])[],
    call: number,
  ): Promise<Float32Array | DeviceArray>;
  /** After an error numbers that were drawn before cannot be relied on. */
  forget(): void;
  /**
   * Σ_c Σ_i first[c][i]·z_ci and, if asked, Σ second·(z² − 1): each call's in float32, calls added in float64
   * and in their order.
   */
  weigh(task: WeighTask): Promise<WeightedSums>;
}

export const keptNormals = (executor: Executor): KeptNormals => new StepNormals(executor);

class StepNormals implements KeptNormals {
  readonly #executor: Executor;
  /** The last run's numbers. */
  #last: { readonly name: string; readonly arrays: ProgramArrays } | undefined;

  constructor(executor: Executor) {
    this.#executor = executor;
  }

  async of(
    { make, calls: perRun, keys }: NormalPrograms,
    calls: readonly (readonly Key[])[],
    call: number,
  ): Promise<Float32Array | DeviceArray> {
    const first = call - (call % perRun);
    // The last run repeats the last call where calls are fewer than its program has.
    const callOf = (i: number) => calls[Math.min(first + i, calls.length - 1)] as readonly Key[];
    const words = keyWords(Array.from({ length: perRun }, (_, i) => callOf(i)).flat());
    if (words.length !== 2 * perRun * keys)
      throw new RangeError(
        `normals: expected ${keys} keys in every call, got ${words.length / 2} in ${perRun}`,
      );
    const name = `${make.id} ${words}`;
    if (this.#last?.name !== name) {
      this.#last = undefined;
      this.#last = { name, arrays: await this.#executor.make(make, { keys: words }) };
    }
    return this.#last.arrays[normalsName(call - first)] as Float32Array | DeviceArray;
  }

  forget(): void {
    this.#last = undefined;
  }

  async weigh({ programs, calls, first, second }: WeighTask): Promise<WeightedSums> {
    const sums = {
      first: new Float64Array(programs.size),
      ...(second ? { second: new Float64Array(programs.size) } : {}),
    };
    const plan = second ? programs.weighBoth : programs.weigh;
    for (let call = 0; call < calls.length; call++) {
      const z = await this.of(programs, calls, call);
      const weights = {
        'first weights': first[call] as Float32Array,
        ...(second ? { 'second weights': second[call] as Float32Array } : {}),
      };
      const { outputs } = await this.#executor.run(plan, { z, ...weights });
      for (const [name, sum] of Object.entries(sums)) {
        const part = outputs[name] as Float32Array;
        for (let j = 0; j < sum.length; j++) sum[j] = (sum[j] as number) + (part[j] as number);
      }
    }
    return sums;
  }
}
