/** Runs plans in the calling thread; their programs stay open from one run to the next. */
import type { HostData } from '../../graph/tensor.js';
import { DeviceArray, type DeviceArrays, keepsArrays, openDeviceArrays } from '../device/array.js';
import { nanoseconds } from '../device/clock.js';
import { hasRowKernel } from '../kernels/row-kernel.js';
import { planResidence } from '../plan/memory.js';
import type { Feeds, Floats, Members, ProgramArrays } from '../plan/run.js';
import { kindOf } from '../plan/stages/index.js';
import { onWay, type Plan, type Way } from '../plan/step.js';
import { OpenPlan } from './open-plan.js';
import { PlanRun } from './plan-run.js';
import type { SessionOptions } from './session.js';

/** What a plan gave back. */
export interface PlanResult {
  readonly outputs: Readonly<Record<string, HostData>>;
  /** Gradients of `loss` in the order of the plan's `wrt`; overwritten by the plan's next run. */
  readonly gradients: readonly Floats[];
}

/** Feeds that are where the device reads them, until they are disposed of. */
export interface KeptFeeds {
  readonly feeds: ProgramArrays;
  dispose(): void;
}

/** Results of a plan, its gradients left on a device that holds arrays. */
export interface KeptResult {
  readonly outputs: PlanResult['outputs'];
  /** Good until the plan is run again or released. */
  readonly gradients: readonly (Floats | DeviceArray)[];
}

/** Its functions may be passed on without it. */
export interface Executor {
  run(plan: Plan, feeds: ProgramArrays): Promise<PlanResult>;
  /**
   * Results, which are scalars, of a plan of values at each member's parameters on each micro-batch,
   * [members, micro-batches, results]: in one call where its step can, else one after the other.
   */
  runMembers(plan: Plan, members: Members, feeds: readonly Feeds[]): Promise<Float64Array>;
  /** As `run`, but gradients stay where they are. */
  runKeeping(plan: Plan, feeds: ProgramArrays): Promise<KeptResult>;
  /**
   * Feeds for several runs of a plan: what only programs read is sent to a device once, if it holds arrays.
   */
  keep(plan: Plan, feeds: Feeds): Promise<KeptFeeds>;
  /**
   * Results of a plan of one program, left where the device holds them: good until the plan is run again or
   * released.
   */
  make(plan: Plan, feeds: ProgramArrays): Promise<ProgramArrays>;
  /**
   * Runs a plan of one program whose outputs go to the arrays of `into`; gives back those that it does not
   * name.
   */
  write(plan: Plan, feeds: ProgramArrays, into: ProgramArrays): Promise<Readonly<Record<string, HostData>>>;
  /** Moves arrays to the device and back. */
  arrays(): DeviceArrays;
  /** Closes all that is open: memory is given back, and plans are opened anew if they are run again. */
  close(): Promise<void>;
}

/** An executor whose programs run on one device (default: the CPU). */
export const createExecutor = (options: SessionOptions = {}): Executor => new PlanExecutor(options);

class PlanExecutor implements Executor {
  readonly #options: SessionOptions;
  readonly #holdsArrays: boolean;
  readonly #plans = new Map<Plan['id'], OpenPlan>();
  #device: DeviceArrays | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#holdsArrays = keepsArrays(options.device ?? 'cpu');
  }

  readonly arrays = (): DeviceArrays => {
    this.#device ??= openDeviceArrays(this.#options.device ?? 'cpu', this.#options);
    return this.#device;
  };

  readonly run: Executor['run'] = async (plan, feeds) => {
    const { outputs, gradients } = await this.#execute(plan, feeds, false);
    const onHost: Floats[] = [];
    for (const gradient of gradients)
      onHost.push(
        gradient instanceof DeviceArray ? ((await this.arrays().read(gradient)) as Float32Array) : gradient,
      );
    return { outputs, gradients: onHost };
  };

  readonly runKeeping: Executor['runKeeping'] = (plan, feeds) => this.#execute(plan, feeds, true);

  readonly runMembers: Executor['runMembers'] = async (plan, members, feeds) => {
    const [step, ...others] = onWay(plan.steps, this.#way());
    const kind = step && others.length === 0 ? kindOf(step) : undefined;
    const { busy } = this.#options;
    if (step && kind?.runMembers) {
      const start = nanoseconds();
      const found = kind.runMembers(step, plan.results, members, feeds);
      if (busy !== undefined) Atomics.add(busy, 0, nanoseconds() - start);
      return found;
    }
    const { points, coordinates, layout } = members;
    const found: number[] = [];
    for (let from = 0; from < points.length; from += coordinates) {
      const parameters = Object.fromEntries(
        layout.map(({ name, offset, size }) => [name, points.subarray(from + offset, from + offset + size)]),
      );
      for (const feed of feeds) {
        const { outputs } = await this.run(plan, { ...feed, ...parameters });
        found.push(...plan.results.map((name) => Number(outputs[name]?.[0])));
      }
    }
    return Float64Array.from(found);
  };

  readonly keep: Executor['keep'] = async (plan, feeds) => {
    const stays = this.#holdsArrays ? planResidence(plan).reads : () => false;
    const uploaded: DeviceArray[] = [];
    const arrays: Record<string, HostData | DeviceArray> = {};
    for (const [name, data] of Object.entries(feeds)) {
      arrays[name] = data;
      if (!stays(name) || !(data instanceof Float32Array || data instanceof Int32Array)) continue;
      const array = await this.arrays().upload(data);
      uploaded.push(array);
      arrays[name] = array;
    }
    return {
      feeds: arrays,
      dispose() {
        for (const array of uploaded) array.dispose();
      },
    };
  };

  readonly make: Executor['make'] = async (plan, feeds) => {
    const into = await this.#open(plan).places(0, (name) => name);
    return { ...(await this.write(plan, feeds, into)), ...into };
  };

  readonly write: Executor['write'] = async (plan, feeds, into) => {
    const session = await this.#open(plan).session(0);
    const read: Record<string, HostData | DeviceArray> = {};
    for (const { name } of plan.programs[0]?.inputs ?? []) {
      const array = feeds[name];
      if (array === undefined) throw new Error(`plan: nothing provides the array ${name}`);
      read[name] = array;
    }
    return session.run(read, into);
  };

  readonly close: Executor['close'] = async () => {
    for (const plan of this.#plans.values()) await plan.close();
    await this.#device?.close();
  };

  #way(): Way {
    return (this.#options.device ?? 'cpu') === 'cpu' && hasRowKernel() ? 'kernel' : 'programs';
  }

  #open(plan: Plan): OpenPlan {
    const open =
      this.#plans.get(plan.id) ??
      new OpenPlan(plan, this.#options, this.#holdsArrays ? this.arrays : undefined);
    this.#plans.set(plan.id, open);
    return open;
  }

  /**
   * Runs the steps of a plan; gradients stay on a device that holds them if they are to, or if its programs
   * add to them.
   */
  async #execute(plan: Plan, feeds: ProgramArrays, gradientsStay: boolean): Promise<KeptResult> {
    const run = new PlanRun(plan, feeds, {
      open: this.#open(plan),
      device: this.arrays,
      way: this.#way(),
      holdsArrays: this.#holdsArrays,
      gradientsStay,
      compute: this.write,
    });
    await run.steps();
    return { outputs: run.outputs(), gradients: run.gradients() };
  }
}
