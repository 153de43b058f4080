/**
 * Vectors that stay on a device from one task to the next, for as long as whoever asked for them likes:
 * parameters, the state of an update rule, gradients. Tasks speak of them by number.
 *
 * Arrays that were let go of are used again for the next vector of their length, so that the steps of a
 * training allocate nothing.
 */
import { DeviceArray, type DeviceArrays } from '../device/array.js';
import type { KeptVector } from './task.js';

export interface KeptVectors {
  put(vector: KeptVector, data: Float32Array): Promise<void>;
  /** @throws Error if there is none of that number: it was let go of, or lost with its device */
  get(vector: KeptVector): Promise<DeviceArray>;
  read(vector: KeptVector): Promise<Float32Array>;
  /** An array for a program to write. */
  allocate(length: number): Promise<DeviceArray>;
  /** What was allocated is a vector from now on. */
  keep(vector: KeptVector, array: DeviceArray): void;
  /** What was allocated is not needed any more. */
  recycle(array: DeviceArray): void;
  drop(vectors: readonly KeptVector[]): void;
  /**
   * Before all that is open on the device is closed: brings every vector to the host, from where it goes back
   * when it is asked for. Vectors that cannot be read, as their device is gone, are lost.
   */
  rescue(): Promise<void>;
}

export function keptVectors(arrays: () => DeviceArrays): KeptVectors {
  const vectors = new Map<number, DeviceArray | Float32Array>();
  const free = new Map<number, DeviceArray[]>();

  const recycle = (array: DeviceArray): void => {
    free.set(array.size, [...(free.get(array.size) ?? []), array]);
  };
  const forget = ({ id }: KeptVector): void => {
    const known = vectors.get(id);
    vectors.delete(id);
    if (known instanceof DeviceArray) recycle(known);
  };
  const upload = async (data: Float32Array): Promise<DeviceArray> => {
    const array = free.get(data.length)?.pop();
    if (array === undefined) return arrays().upload(data);
    await arrays().write(array, data);
    return array;
  };
  const get = async ({ id, length }: KeptVector): Promise<DeviceArray> => {
    const known = vectors.get(id);
    if (known === undefined)
      throw new Error(`device lost: vector ${id} of ${length} numbers is not there any more`);
    if (known instanceof DeviceArray) return known;
    const array = await upload(known);
    vectors.set(id, array);
    return array;
  };
  const keep = (vector: KeptVector, array: DeviceArray): void => {
    forget(vector);
    vectors.set(vector.id, array);
  };

  return {
    async put(vector, data) {
      keep(vector, await upload(data));
    },
    get,
    async read(vector) {
      const known = vectors.get(vector.id);
      return known instanceof Float32Array
        ? known.slice()
        : ((await arrays().read(await get(vector))) as Float32Array);
    },
    async allocate(length) {
      return free.get(length)?.pop() ?? arrays().allocate('float32', length);
    },
    keep,
    recycle,
    drop(given) {
      for (const vector of given) forget(vector);
    },
    async rescue() {
      free.clear();
      for (const [id, known] of vectors) {
        if (!(known instanceof DeviceArray)) continue;
        try {
          vectors.set(id, (await arrays().read(known)) as Float32Array);
        } catch {
          vectors.delete(id);
        }
      }
    },
  };
}
