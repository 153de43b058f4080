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
  /** Makes an allocated array the vector's. */
  keep(vector: KeptVector, array: DeviceArray): void;
  /** Gives back an allocated array that nothing needs any more. */
  recycle(array: DeviceArray): void;
  drop(vectors: readonly KeptVector[]): void;
  /**
   * Before all that is open on the device is closed: brings every vector to the host, from where it goes back
   * when it is asked for. Vectors that cannot be read, as their device is gone, are lost.
   */
  rescue(): Promise<void>;
}

export const keptVectors = (arrays: () => DeviceArrays): KeptVectors => new DeviceVectors(arrays);

class DeviceVectors implements KeptVectors {
  readonly #arrays: () => DeviceArrays;
  /** On the device, or on the host after a rescue. */
  readonly #vectors = new Map<number, DeviceArray | Float32Array>();
  /** Arrays to be used again, by their length. */
  readonly #free = new Map<number, DeviceArray[]>();

  constructor(arrays: () => DeviceArrays) {
    this.#arrays = arrays;
  }

  async put(vector: KeptVector, data: Float32Array): Promise<void> {
    this.keep(vector, await this.#upload(data));
  }

  async get({ id, length }: KeptVector): Promise<DeviceArray> {
    const known = this.#vectors.get(id);
    if (known === undefined)
      throw new Error(`device lost: vector ${id} of ${length} numbers is not there any more`);
    if (known instanceof DeviceArray) return known;
    const array = await this.#upload(known);
    this.#vectors.set(id, array);
    return array;
  }

  async read(vector: KeptVector): Promise<Float32Array> {
    const known = this.#vectors.get(vector.id);
    if (known instanceof Float32Array) return known.slice();
    return (await this.#arrays().read(await this.get(vector))) as Float32Array;
  }

  async allocate(length: number): Promise<DeviceArray> {
    return this.#free.get(length)?.pop() ?? this.#arrays().allocate('float32', length);
  }

  keep(vector: KeptVector, array: DeviceArray): void {
    this.drop([vector]);
    this.#vectors.set(vector.id, array);
  }

  recycle(array: DeviceArray): void {
    this.#free.set(array.size, [...(this.#free.get(array.size) ?? []), array]);
  }

  drop(vectors: readonly KeptVector[]): void {
    for (const { id } of vectors) {
      const known = this.#vectors.get(id);
      this.#vectors.delete(id);
      if (known instanceof DeviceArray) this.recycle(known);
    }
  }

  async rescue(): Promise<void> {
    this.#free.clear();
    for (const [id, known] of this.#vectors) {
      if (!(known instanceof DeviceArray)) continue;
      try {
        this.#vectors.set(id, (await this.#arrays().read(known)) as Float32Array);
      } catch {
        this.#vectors.delete(id);
      }
    }
  }

  async #upload(data: Float32Array): Promise<DeviceArray> {
    const array = this.#free.get(data.length)?.pop();
    if (array === undefined) return this.#arrays().upload(data);
    await this.#arrays().write(array, data);
    return array;
  }
}
