/**
 * The gradients of one run of a plan, added up program by program: on the host in place, on a device that
 * holds them between two arrays, as no program there may write what it reads.
 */
import { type FloatType, type HostData, hostArray } from '../../graph/tensor.js';
import { DeviceArray, type DeviceArrays } from '../device/array.js';
import type { Floats } from '../plan/run.js';

/** An array of a plan that nothing writes to. */
export const zeroName = (size: number): string => `zero ${size}`;

/** Where gradients stay on a device: arrays of the plan by name, zero at first. */
export interface SumsOnDevice {
  readonly device: DeviceArrays;
  place(name: string, size: number): Promise<DeviceArray>;
}

/** The sum so far and where a program writes the new one, on the host the same array. */
export interface NextSum {
  readonly from: Floats | DeviceArray;
  readonly into: Floats | DeviceArray;
}

export class GradientSums {
  /** Sums by name. */
  readonly #arrays: Map<string, HostData | DeviceArray>;
  readonly #onDevice: SumsOnDevice | undefined;
  /** Gradients that already hold something: what `arrays` has of others may be of an earlier run. */
  readonly #begun = new Set<string>();

  /** Sums in `arrays`; with `onDevice` all of them on the device. */
  constructor(arrays: Map<string, HostData | DeviceArray>, onDevice?: SumsOnDevice) {
    this.#arrays = arrays;
    this.#onDevice = onDevice;
  }

  /** Adds an array. The first addend of a gradient becomes the sum. */
  async add(name: string, addend: Floats | DeviceArray): Promise<void> {
    const sum = this.#arrays.get(name);
    if (!this.#begun.has(name)) {
      this.#begun.add(name);
      this.#arrays.set(name, addend);
    } else if (addend instanceof DeviceArray) {
      const onDevice = this.#onDevice as SumsOnDevice;
      const into = await this.#other(onDevice, name, addend.size);
      await onDevice.device.add(sum as DeviceArray, addend, into);
      this.#arrays.set(name, into);
    } else {
      const target = sum as Floats;
      for (let i = 0; i < addend.length; i++) target[i] = (target[i] as number) + (addend[i] as number);
    }
  }

  /** For a program that adds by itself. */
  async next(name: string, dtype: FloatType, size: number): Promise<NextSum> {
    const isNew = !this.#begun.has(name);
    this.#begun.add(name);
    if (this.#onDevice === undefined) {
      if (isNew) this.#arrays.set(name, hostArray(dtype, size));
      const sum = this.#arrays.get(name) as Floats;
      return { from: sum, into: sum };
    }
    const from = isNew
      ? await this.#onDevice.place(zeroName(size), size)
      : (this.#arrays.get(name) as DeviceArray);
    const into = await this.#other(this.#onDevice, name, size);
    this.#arrays.set(name, into);
    return { from, into };
  }

  /** The one of two arrays that does not hold the sum. */
  async #other({ place }: SumsOnDevice, name: string, size: number): Promise<DeviceArray> {
    const [first, second] = [await place(`first ${name}`, size), await place(`second ${name}`, size)];
    return this.#arrays.get(name) === first ? second : first;
  }
}
