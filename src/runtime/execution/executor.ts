/**
 * Runs plans in the calling thread: keeps the programs of each plan open, moves arrays between stages,
 * collects gradients.
 */
import { type DType, type FloatType, type HostData, hostArray, sizeOf } from '../../graph/tensor.js';
import { DeviceArray, type DeviceArrays, keepsArrays, openDeviceArrays } from '../device/array.js';
import { hasRowKernel } from '../kernels/row-kernel.js';
import { runHost } from '../plan/host-stage.js';
import { programArrays } from '../plan/memory.js';
import { gradientName, type Plan, sumName } from '../plan/plan.js';
import { gradientSums, zeroName } from './gradient-sums.js';
import { iterate, iterateThere } from './iterate.js';
import { runRowKernel } from './row-kernel-step.js';
import { runRowsThere } from './rows-on-device.js';
import { runRows } from './rows-on-host.js';
import type { Floats, Run } from './run.js';
import { type Feeds, openSession, type ProgramArrays, type Session, type SessionOptions } from './session.js';

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

/** What a plan gave, its gradients left on a device that keeps arrays. */
export interface KeptResult {
  readonly outputs: PlanResult['outputs'];
  /** Good until the plan is run again or released. */
  readonly gradients: readonly (Floats | DeviceArray)[];
}

export interface Executor {
  run(plan: Plan, feeds: ProgramArrays): Promise<PlanResult>;
  /** The same, but gradients stay where they are. */
  runKeeping(plan: Plan, feeds: ProgramArrays): Promise<KeptResult>;
  /**
   * Feeds for several runs of a plan: what only programs read is sent to a device once, if it can keep it.
   */
  keep(plan: Plan, feeds: Feeds): Promise<KeptFeeds>;
  /**
   * Results of a plan of one program, left where the device keeps them: good until the plan is run again or
   * released.
   */
  make(plan: Plan, feeds: ProgramArrays): Promise<ProgramArrays>;
  /**
   * Runs a plan of one program whose outputs go to the arrays of `into`; gives back those that it does not
   * name.
   */
  write(plan: Plan, feeds: ProgramArrays, into: ProgramArrays): Promise<Readonly<Record<string, HostData>>>;
  /** What moves arrays to the device and back. */
  arrays(): DeviceArrays;
  /** Closes all that is open: memory is given back, and plans are opened anew if they are run again. */
  close(): Promise<void>;
}

/** An executor whose programs run on one device (default: the CPU). */
export function createExecutor(options: SessionOptions = {}): Executor {
  const sessions = new Map<Plan['id'], Map<number, Session>>();
  // Arrays that only programs read, where the device can keep them, and residuals: they are large, and every
  // run of a plan needs the same.
  const keptArrays = new Map<Plan['id'], Map<string, HostData | DeviceArray>>();
  const memories = new Map<Plan['id'], Map<string, unknown>>();
  const keeps = keepsArrays(options.device ?? 'cpu');
  const onCpu = (options.device ?? 'cpu') === 'cpu';
  let device: DeviceArrays | undefined;

  const arraysOfDevice = (): DeviceArrays => {
    device ??= openDeviceArrays(options.device ?? 'cpu', options);
    return device;
  };

  /** An array of a plan, the same in every run; the device's own if it keeps arrays. */
  async function ownArray(
    plan: Plan,
    name: string,
    dtype: DType,
    size: number,
  ): Promise<HostData | DeviceArray> {
    const own = keptArrays.get(plan.id) ?? new Map<string, HostData | DeviceArray>();
    keptArrays.set(plan.id, own);
    const array =
      own.get(name) ??
      (keeps && dtype !== 'float64' && dtype !== 'bool'
        ? await arraysOfDevice().allocate(dtype, size)
        : hostArray(dtype, size));
    own.set(name, array);
    return array;
  }

  /**
   * Where the outputs of a program go that are given a name among the plan's arrays, if the device keeps
   * them.
   */
  async function placesOf(
    plan: Plan,
    program: number,
    nameOf: (output: string) => string | undefined,
  ): Promise<Record<string, HostData | DeviceArray>> {
    const places: Record<string, HostData | DeviceArray> = {};
    for (const { name, dtype, shape } of (keeps && plan.programs[program]?.outputs) || []) {
      const own = nameOf(name);
      if (own !== undefined) places[name] = await ownArray(plan, own, dtype, sizeOf(shape));
    }
    return places;
  }

  async function call(
    plan: Plan,
    program: number,
    known: Pick<Run, 'arrays'> & Partial<Pick<Run, 'sums' | 'own'>>,
    extra: ProgramArrays = {},
    into: ProgramArrays = {},
  ): Promise<Record<string, HostData>> {
    const opened = sessions.get(plan.id) ?? new Map<number, Session>();
    sessions.set(plan.id, opened);
    const encoded = plan.programs[program];
    if (encoded === undefined) throw new Error(`plan: no program ${program}`);
    let session = opened.get(program);
    if (session === undefined) {
      session = await openSession(encoded, options);
      opened.set(program, session);
    }
    const { arrays, sums } = known;
    const feeds: Record<string, HostData | DeviceArray> = {};
    const places: Record<string, HostData | DeviceArray> = { ...into };
    for (const { name, shape, dtype } of encoded.inputs) {
      if (sums && name.startsWith(sumName(''))) {
        const gradient = gradientName(name.slice(sumName('').length));
        const sum = await sums.next(gradient, dtype as FloatType, sizeOf(shape));
        feeds[name] = sum.from;
        places[gradient] = sum.into;
        continue;
      }
      feeds[name] =
        extra[name] ?? arrays.get(name) ?? (await zeroIfCotangent(known, name, dtype, sizeOf(shape)));
    }
    return session.run(feeds, places);
  }

  const write: Executor['write'] = (plan, feeds, into) =>
    call(plan, 0, { arrays: new Map(Object.entries(feeds)) }, {}, into);

  function remembered<Made>({ id }: Plan, name: string, make: (id: string) => Made): Made {
    const own = memories.get(id) ?? new Map<string, unknown>();
    memories.set(id, own);
    if (!own.has(name)) own.set(name, make(`${id} ${name}`));
    return own.get(name) as Made;
  }

  async function release({ id }: Pick<Plan, 'id'>): Promise<void> {
    const open = [...(sessions.get(id)?.values() ?? [])];
    sessions.delete(id);
    for (const array of keptArrays.get(id)?.values() ?? []) if (array instanceof DeviceArray) array.dispose();
    keptArrays.delete(id);
    await Promise.all(open.map((session) => session.close()));
  }

  /**
   * Runs the steps of a plan; gradients stay on a device that keeps them if they are to, or if programs add
   * to them that it has to itself.
   */
  async function execute(plan: Plan, feeds: ProgramArrays, keepGradients: boolean): Promise<KeptResult> {
    const arrays: Run['arrays'] = new Map(Object.entries(feeds));
    const { made: staying, loops, stays } = programArrays(plan);
    const there = keeps && stays;
    const own: Run['own'] = (name, dtype, size) => ownArray(plan, name, dtype, size);
    const place = async (name: string, size: number) => (await own(name, 'float32', size)) as DeviceArray;
    const keeping = there && (keepGradients || plan.steps.some(({ kind }) => kind === 'rows-gradient'));
    const sums = gradientSums(arrays, keeping ? { device: arraysOfDevice(), place } : undefined);
    const run: Run = {
      plan,
      arrays,
      sums,
      selections: new Map(),
      chosen: new Map(),
      call: (program, extra, into) => call(plan, program, run, extra, into),
      compute: write,
      read: (array) => arraysOfDevice().read(array),
      remember: (name, make) => remembered(plan, name, make),
      own,
      places: (program, nameOf) => placesOf(plan, program, nameOf),
    };
    // A plan may have two ways to the same arrays; one with the kernel's was made where it is.
    const skipped = onCpu && hasRowKernel() ? 'programs' : 'kernel';
    for (const step of plan.steps) {
      if ('path' in step && step.path === skipped) continue;
      if (step.kind === 'iterate')
        await (there && loops.has(step) ? iterateThere(run, step) : iterate(run, step));
      else if (step.kind === 'host')
        for (const [name, value] of await runHost(step, await run.call(step.program)))
          arrays.set(name, value);
      else if ('wanted' in step) await runRowKernel(run, step);
      else if (step.kind !== 'run') await (there ? runRowsThere(run, step) : runRows(run, step));
      else {
        const added = new Map(step.accumulate);
        const nameOf = (output: string) => {
          if (added.has(output)) return keeping ? `${output} of ${step.program}` : undefined;
          return there && staying.has(output) ? output : undefined;
        };
        const into = await run.places(step.program, nameOf);
        const made = await run.call(step.program, {}, into);
        for (const [output, value] of Object.entries({ ...made, ...into })) {
          const sum = added.get(output);
          if (sum === undefined) arrays.set(output, value);
          else await sums.add(sum, value as Floats | DeviceArray);
        }
      }
    }
    return {
      outputs: Object.fromEntries(plan.results.map((name) => [name, (arrays.get(name) as HostData).slice()])),
      gradients: plan.wrt.map(
        ({ name, shape, dtype }) =>
          (arrays.get(gradientName(name)) ?? hostArray(dtype, sizeOf(shape))) as Floats | DeviceArray,
      ),
    };
  }

  return {
    async run(plan, feeds) {
      const { outputs, gradients } = await execute(plan, feeds, false);
      const here: Floats[] = [];
      for (const gradient of gradients)
        here.push(
          gradient instanceof DeviceArray
            ? ((await arraysOfDevice().read(gradient)) as Float32Array)
            : gradient,
        );
      return { outputs, gradients: here };
    },
    runKeeping: (plan, feeds) => execute(plan, feeds, true),
    async keep(plan, feeds) {
      const stays = keeps ? programArrays(plan).reads : () => false;
      const own: DeviceArray[] = [];
      const made: Record<string, HostData | DeviceArray> = {};
      for (const [name, data] of Object.entries(feeds)) {
        const moves = stays(name) && (data instanceof Float32Array || data instanceof Int32Array);
        made[name] = moves ? await arraysOfDevice().upload(data) : data;
        if (made[name] !== data) own.push(made[name] as DeviceArray);
      }
      return {
        feeds: made,
        dispose() {
          for (const array of own) array.dispose();
        },
      };
    },
    async make(plan, feeds) {
      const into = await placesOf(plan, 0, (name) => name);
      return { ...(await write(plan, feeds, into)), ...into };
    },
    write,
    arrays: arraysOfDevice,
    async close() {
      for (const id of [...sessions.keys()]) await release({ id });
      await device?.close();
    },
  };
}

/** A cotangent that nothing contributed to is zero: an array that nothing writes to. */
async function zeroIfCotangent(
  { own }: Partial<Pick<Run, 'own'>>,
  name: string,
  dtype: DType,
  size: number,
): Promise<HostData | DeviceArray> {
  if (own === undefined || !name.startsWith(gradientName('')))
    throw new Error(`plan: nothing provides the array ${name}`);
  return own(zeroName(size), dtype, size);
}
