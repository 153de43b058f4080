/**
 * The normal numbers of a step's calls as one executor keeps them: made when a call needs them, for all calls
 * that fit one run.
 */
import type { DeviceArray } from '../device/array.js';
import type { Executor } from '../execution/executor.js';
import type { ProgramArrays } from '../execution/session.js';
import type { Key } from '../random/keys.js';
import { keyWords } from '../random/threefry-graph.js';
import { type NormalPrograms, normalsName } from './normal-programs.js';
import type { WeighTask } from './task.js';

export interface KeptNormals {
  /** z [keys, size] of a call, good until z of another run is asked for. */
  of(
    programs: NormalPrograms,
    calls: readonly (readonly Key[])[],
    call: number,
  ): Promise<Float32Array | DeviceArray>;
  /** After an error nothing that was kept can be relied on. */
  forget(): void;
  /**
   * Σ_c Σ_i first[c][i]·z_ci and, if asked, Σ second·(z² − 1): each call's in float32, calls added in float64
   * and in their order.
   */
  weigh(task: WeighTask): Promise<{ first: Float64Array; second?: Float64Array }>;
}

export function keptNormals(executor: Executor): KeptNormals {
  let held: { readonly name: string; readonly arrays: ProgramArrays } | undefined;

  const of: KeptNormals['of'] = async ({ make, calls: perRun, keys }, calls, call) => {
    const first = call - (call % perRun);
    // The last run repeats the last call where calls are fewer than its program has.
    const words = keyWords(
      Array.from(
        { length: perRun },
        (_, i) => calls[Math.min(first + i, calls.length - 1)] as readonly Key[],
      ).flat(),
    );
    if (words.length !== 2 * perRun * keys)
      throw new RangeError(
        `normals: expected ${keys} keys in every call, got ${words.length / 2} in ${perRun}`,
      );
    const name = `${make.id} ${words}`;
    if (held?.name !== name) {
      held = undefined;
      held = { name, arrays: await executor.make(make, { keys: words }) };
    }
    return held.arrays[normalsName(call - first)] as Float32Array | DeviceArray;
  };

  return {
    of,
    forget() {
      held = undefined;
    },
    async weigh({ programs, calls, first, second }) {
      const sums = {
        first: new Float64Array(programs.size),
        ...(second ? { second: new Float64Array(programs.size) } : {}),
      };
      for (let call = 0; call < calls.length; call++) {
        const z = await of(programs, calls, call);
        const weights = {
          'first weights': first[call] as Float32Array,
          ...(second ? { 'second weights': second[call] as Float32Array } : {}),
        };
        const { outputs } = await executor.run(second ? programs.weighBoth : programs.weigh, {
          z,
          ...weights,
        });
        for (const [name, sum] of Object.entries(sums)) {
          const part = outputs[name] as Float32Array;
          for (let j = 0; j < sum.length; j++) sum[j] = (sum[j] as number) + (part[j] as number);
        }
      }
      return sums;
    },
  };
}
