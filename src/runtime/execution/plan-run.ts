/** One run of a plan: feeds in, steps one after the other, results and gradients out. */
import { type DType, type FloatType, type HostData, hostArray, sizeOf } from '../../graph/tensor.js';
import { DeviceArray, type DeviceArrays } from '../device/array.js';
import { type PlanResidence, planResidence } from '../plan/memory.js';
import type { Feeds, Floats, ProgramArrays, Run } from '../plan/run.js';
import { kindOf } from '../plan/stages/index.js';
import { gradientName, onWay, type Plan, sumName, type Way } from '../plan/step.js';
import { unshared } from '../shared-memory.js';
import { GradientSums, zeroName } from './gradient-sums.js';
import type { OpenPlan } from './open-plan.js';

/** The executor's part of a run. */
export interface RunContext {
  readonly open: OpenPlan;
  readonly device: () => DeviceArrays;
  /** Which of two ways the run takes. */
  readonly way: Way;
  /** Whether the device holds arrays. */
  readonly holdsArrays: boolean;
  /** Whether gradients stay on a device that holds arrays, also where the host could add them. */
  readonly gradientsStay: boolean;
  /** Runs a plan of one program. */
  compute(plan: Plan, feeds: ProgramArrays, into: ProgramArrays): Promise<Feeds>;
}

export class PlanRun implements Run {
  readonly arrays: Map<string, HostData | DeviceArray>;
  readonly sumsOnDevice: boolean;
  readonly #context: RunContext;
  /** Where the plan's arrays are; undefined where all are the host's. */
  readonly #residence: PlanResidence | undefined;
  readonly #sums: GradientSums;

  constructor(
    readonly plan: Plan,
    feeds: ProgramArrays,
    context: RunContext,
  ) {
    this.arrays = new Map(Object.entries(feeds));
    this.#context = context;
    const residence = context.holdsArrays ? planResidence(plan) : undefined;
    this.#residence = residence?.stays ? residence : undefined;
    const programsAdd = plan.steps.some((step) => kindOf(step).adds?.(step) === 'programs');
    this.sumsOnDevice = this.#residence !== undefined && (context.gradientsStay || programsAdd);
    const place = async (name: string, size: number) =>
      (await this.planArray(name, 'float32', size)) as DeviceArray;
    this.#sums = new GradientSums(
      this.arrays,
      this.sumsOnDevice ? { device: context.device(), place } : undefined,
    );
  }

  async steps(): Promise<void> {
    for (const step of onWay(this.plan.steps, this.#context.way)) {
      const kind = kindOf(step);
      const onDevice = this.#residence?.onDevice.has(step) ? kind.runOnDevice : undefined;
      await (onDevice ?? kind.run)(this, step);
    }
  }

  /** Copies of the results. */
  outputs(): Feeds {
    return Object.fromEntries(
      this.plan.results.map((name) => [name, (this.arrays.get(name) as HostData).slice()]),
    );
  }

  gradients(): (Floats | DeviceArray)[] {
    return this.plan.wrt.map(
      ({ name, shape, dtype }) =>
        (this.arrays.get(gradientName(name)) ?? hostArray(dtype, sizeOf(shape))) as Floats | DeviceArray,
    );
  }

  stays(name: string): boolean {
    return this.#residence?.computed.has(name) === true;
  }

  addGradient(name: string, addend: Floats | DeviceArray): Promise<void> {
    return this.#sums.add(name, addend);
  }

  async call(
    program: number,
    extra: ProgramArrays = {},
    into: ProgramArrays = {},
  ): Promise<Record<string, HostData>> {
    const session = await this.#context.open.session(program);
    const feeds: Record<string, HostData | DeviceArray> = {};
    const places: Record<string, HostData | DeviceArray> = { ...into };
    for (const { name, shape, dtype } of this.plan.programs[program]?.inputs ?? []) {
      if (name.startsWith(sumName(''))) {
        const gradient = gradientName(name.slice(sumName('').length));
        const sum = await this.#sums.next(gradient, dtype as FloatType, sizeOf(shape));
        feeds[name] = sum.from;
        places[gradient] = sum.into;
      } else
        feeds[name] =
          extra[name] ?? this.#readable(name) ?? (await this.#zeroCotangent(name, dtype, sizeOf(shape)));
    }
    return session.run(feeds, places);
  }

  /** An array as programs read it; once one has read shared memory, what it read stands for it. */
  #readable(name: string): HostData | DeviceArray | undefined {
    const array = this.arrays.get(name);
    if (array === undefined || array instanceof DeviceArray) return array;
    const own = unshared(array);
    this.arrays.set(name, own);
    return own;
  }

  compute(plan: Plan, feeds: ProgramArrays, into: ProgramArrays): Promise<Feeds> {
    return this.#context.compute(plan, feeds, into);
  }

  read(array: DeviceArray): Promise<HostData> {
    return this.#context.device().read(array);
  }

  remember<Value>(name: string, make: (id: string) => Value): Value {
    return this.#context.open.remember(name, make);
  }

  planArray(name: string, dtype: DType, size: number): Promise<HostData | DeviceArray> {
    return this.#context.open.array(name, dtype, size);
  }

  zeros(dtype: DType, size: number): Promise<HostData | DeviceArray> {
    return this.planArray(zeroName(size), dtype, size);
  }

  places(
    program: number,
    nameOf: (output: string) => string | undefined,
  ): Promise<Record<string, HostData | DeviceArray>> {
    return this.#context.open.places(program, nameOf);
  }

  /** A cotangent that nothing contributed to is zero. */
  async #zeroCotangent(name: string, dtype: DType, size: number): Promise<HostData | DeviceArray> {
    if (!name.startsWith(gradientName(''))) throw new Error(`plan: nothing provides the array ${name}`);
    return this.zeros(dtype, size);
  }
}
