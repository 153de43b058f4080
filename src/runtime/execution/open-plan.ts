/** A plan as one thread runs it: its open programs, and arrays that are the same in every run. */
import { remembered } from '../../graph/remembered.js';
import { type DType, type HostData, hostArray, sizeOf } from '../../graph/tensor.js';
import { DeviceArray, type DeviceArrays } from '../device/array.js';
import type { Plan } from '../plan/step.js';
import { openSession, type Session, type SessionOptions } from './session.js';

const values = remembered<OpenPlan, unknown>();

export class OpenPlan {
  readonly #id: Plan['id'];
  readonly #programs: Plan['programs'];
  readonly #options: SessionOptions;
  /** Where the plan's arrays are, if the device holds them. */
  readonly #device: (() => DeviceArrays) | undefined;
  readonly #sessions = new Map<number, Session>();
  /** Arrays that programs alone read: they are large, and every run needs the same. */
  readonly #arrays = new Map<string, HostData | DeviceArray>();

  constructor({ id, programs }: Plan, options: SessionOptions, device: (() => DeviceArrays) | undefined) {
    this.#id = id;
    this.#programs = programs;
    this.#options = options;
    this.#device = device;
  }

  /** A program of the plan, opened when first asked for. */
  async session(program: number): Promise<Session> {
    const encoded = this.#programs[program];
    if (encoded === undefined) throw new Error(`plan: no program ${program}`);
    const session = this.#sessions.get(program) ?? (await openSession(encoded, this.#options));
    this.#sessions.set(program, session);
    return session;
  }

  /** An array of the plan, zero at first; the device's if it holds arrays. */
  async array(name: string, dtype: DType, size: number): Promise<HostData | DeviceArray> {
    const known = this.#arrays.get(name);
    if (known !== undefined) return known;
    const array =
      this.#device !== undefined && dtype !== 'float64' && dtype !== 'bool'
        ? await this.#device().allocate(dtype, size)
        : hostArray(dtype, size);
    this.#arrays.set(name, array);
    return array;
  }

  /** Arrays for the outputs of a program that `nameOf` names, if the device holds them. */
  async places(
    program: number,
    nameOf: (output: string) => string | undefined,
  ): Promise<Record<string, HostData | DeviceArray>> {
    const places: Record<string, HostData | DeviceArray> = {};
    if (this.#device === undefined) return places;
    for (const { name, dtype, shape } of this.#programs[program]?.outputs ?? []) {
      const place = nameOf(name);
      if (place !== undefined) places[name] = await this.array(place, dtype, sizeOf(shape));
    }
    return places;
  }

  /** A value made once for the plan; `id` is for plans that belong to it. */
  remember<Value>(name: string, make: (id: string) => Value): Value {
    return values(this, name, () => make(`${this.#id} ${name}`)) as Value;
  }

  /** Closes programs and gives arrays back; the next run opens them anew. */
  async close(): Promise<void> {
    const open = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const array of this.#arrays.values()) if (array instanceof DeviceArray) array.dispose();
    this.#arrays.clear();
    await Promise.all(open.map((session) => session.close()));
  }
}
