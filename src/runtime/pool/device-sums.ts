/** Sums on the device to which one program after the other adds. */
import type { DeviceArray } from '../device/array.js';
import type { Executor } from '../execution/executor.js';
import type { ProgramArrays } from '../plan/run.js';
import type { Plan } from '../plan/step.js';
import type { KeptVector, Outputs } from './task.js';
import type { KeptVectors } from './vectors.js';

/** Programs of one sum: `more` reads the sums as `… so far` and writes other arrays. */
export interface SumPrograms {
  readonly begin: Plan;
  readonly more: Plan;
}

export class DeviceSums {
  readonly #executor: Executor;
  readonly #vectors: KeptVectors;
  readonly #programs: SumPrograms;
  /** The vectors that the sums become, by the names of the outputs. */
  readonly #into: Readonly<Record<string, KeptVector>>;
  #sums: Record<string, DeviceArray> | undefined;

  constructor(
    executor: Executor,
    vectors: KeptVectors,
    programs: SumPrograms,
    into: Readonly<Record<string, KeptVector>>,
  ) {
    this.#executor = executor;
    this.#vectors = vectors;
    this.#programs = programs;
    this.#into = into;
  }

  /** Runs the next program; outputs that are not summed are given back. */
  async add(feeds: ProgramArrays): Promise<Outputs> {
    const { begin, more } = this.#programs;
    const before = Object.entries(this.#sums ?? {});
    const next: Record<string, DeviceArray> = {};
    for (const [name, { length }] of Object.entries(this.#into))
      next[name] = await this.#vectors.allocate(length);
    const soFar = Object.fromEntries(before.map(([name, sum]) => [`${name} so far`, sum]));
    const plan = this.#sums === undefined ? begin : more;
    const outputs = await this.#executor.write(plan, { ...feeds, ...soFar }, next);
    for (const [, sum] of before) this.#vectors.recycle(sum);
    this.#sums = next;
    return outputs;
  }

  /** Turns the sums into their vectors. */
  finish(): void {
    for (const [name, vector] of Object.entries(this.#into))
      this.#vectors.keep(vector, this.#sums?.[name] as DeviceArray);
  }
}
