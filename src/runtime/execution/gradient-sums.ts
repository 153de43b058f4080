/**
 * The gradients of one run of a plan, added up program by program: on the host in place, on a device that
 * keeps them between two arrays, as no program there may write what it reads.
 */
import { type FloatType, type HostData, hostArray } from '../../graph/tensor.js';
import { DeviceArray, type DeviceArrays } from '../device/array.js';

type Floats = Float32Array | Float64Array;

/** An array of a plan's own that nothing writes to. */
export const zeroName = (size: number): string => `zero ${size}`;

export interface GradientSums {
  /** Adds what a program made. The first addend of a gradient becomes the sum. */
  add(name: string, addend: Floats | DeviceArray): Promise<void>;
  /**
   * For a program that adds by itself: the sum so far and where it writes the new one, on the host the same
   * array.
   */
  next(
    name: string,
    dtype: FloatType,
    size: number,
  ): Promise<{ readonly from: Floats | DeviceArray; readonly into: Floats | DeviceArray }>;
}

/** Where gradients stay on a device: arrays of the plan's own by name, zero at first. */
export interface DeviceSums {
  readonly device: DeviceArrays;
  place(name: string, size: number): Promise<DeviceArray>;
}

/** Sums in `arrays`, by name; with `kept` all of them on the device. */
export function gradientSums(arrays: Map<string, HostData | DeviceArray>, kept?: DeviceSums): GradientSums {
  // Gradients that already hold something: what `arrays` has of others may be of an earlier run.
  const begun = new Set<string>();
  const other = async ({ place }: DeviceSums, name: string, size: number): Promise<DeviceArray> => {
    const [first, second] = [await place(`first ${name}`, size), await place(`second ${name}`, size)];
    return arrays.get(name) === first ? second : first;
  };
  return {
    async add(name, addend) {
      const sum = arrays.get(name);
      if (!begun.has(name)) {
        begun.add(name);
        arrays.set(name, addend);
      } else if (addend instanceof DeviceArray) {
        const into = await other(kept as DeviceSums, name, addend.size);
        await (kept as DeviceSums).device.add(sum as DeviceArray, addend, into);
        arrays.set(name, into);
      } else {
        const target = sum as Floats;
        for (let i = 0; i < addend.length; i++) target[i] = (target[i] as number) + (addend[i] as number);
      }
    },
    async next(name, dtype, size) {
      const isNew = !begun.has(name);
      begun.add(name);
      if (kept === undefined) {
        if (isNew) arrays.set(name, hostArray(dtype, size));
        const sum = arrays.get(name) as Floats;
        return { from: sum, into: sum };
      }
      const from = isNew ? await kept.place(zeroName(size), size) : (arrays.get(name) as DeviceArray);
      const into = await other(kept, name, size);
      arrays.set(name, into);
      return { from, into };
    },
  };
}
