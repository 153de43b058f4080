/** What is done where a device's memory does not suffice for a population: half as many members at a time, once. */
import { DeviceError } from './device.js';

export interface Chunked<Result> {
  readonly result: Result;
  /** Members at a time with which it was made: to begin with the next time. */
  readonly members: number;
}

/**
 * `work` with this many members at a time and, where the memory does not suffice, once more with half as many. `work` has to give back
 * what it held on the device before it throws.
 * @throws DeviceError whose line says what was tried
 */
export async function withSmallerChunk<Result>(members: number, work: (members: number) => Promise<Result>): Promise<Chunked<Result>> {
  try {
    return { result: await work(members), members };
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    const half = Math.ceil(members / 2);
    if (half === members) throw error;
    try {
      return { result: await work(half), members: half };
    } catch (again) {
      throw isOutOfMemory(again) ? new DeviceError(again.device, again, `for ${members} perturbations at once, nor for ${half}`) : again;
    }
  }
}

const isOutOfMemory = (error: unknown): error is DeviceError => error instanceof DeviceError && error.trouble === 'memory';
