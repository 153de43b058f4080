/**
 * Calls that a device's memory does not hold are made smaller: half as many members, images or
 * subproblems at a time, once.
 */
import { DeviceError } from './device.js';

export interface Chunked<Result> {
  readonly result: Result;
  /** Members at a time with which it was made: to begin with the next time. */
  readonly members: number;
}

/**
 * `work` with this many members at a time and, where the memory does not suffice, once more with half as
 * many. What it held on the device has to be given back before it throws, which a pool's worker sees to.
 * `what` members are, in words.
 * @throws DeviceError whose line says what was tried
 */
export async function withSmallerChunk<Result>(
  members: number,
  work: (members: number) => Promise<Result>,
  what = 'perturbations',
): Promise<Chunked<Result>> {
  try {
    return { result: await work(members), members };
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    const half = Math.ceil(members / 2);
    if (half === members) throw error;
    try {
      return { result: await work(half), members: half };
    } catch (again) {
      throw isOutOfMemory(again)
        ? new DeviceError(again.device, again, `for ${members} ${what} at once, nor for ${half}`)
        : again;
    }
  }
}

const isOutOfMemory = (error: unknown): error is DeviceError =>
  error instanceof DeviceError && error.trouble === 'memory';
