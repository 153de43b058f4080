/** Runs plans in the calling thread: keeps the programs of each plan open, moves arrays between stages, collects gradients. */
import { type DType, type FloatType, type HostData, hostArray, sizeOf } from '../graph/tensor.js';
import { DeviceArray, type DeviceArrays, keepsArrays, openDeviceArrays } from './device-array.js';
import { type GradientSums, gradientSums } from './gradient-sums.js';
import { runHost } from './host-stage.js';
import { programArrays } from './kept-arrays.js';
import { gradientName, type IterateStep, isResidual, nextName, type Plan, type RowsStep, sumName } from './plan.js';
import { chunks, ofMembers, rowIndices, selectRows } from './rows.js';
import { type Feeds, openSession, type ProgramArrays, type Session, type SessionOptions } from './session.js';

type Floats = Float32Array | Float64Array;
type Arrays = Map<string, HostData | DeviceArray>;

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
  /** Feeds for several runs of a plan: what only programs read is sent to a device once, if it can keep it. */
  keep(plan: Plan, feeds: Feeds): Promise<KeptFeeds>;
  /** Results of a plan of one program, left where the device keeps them: good until the plan is run again or released. */
  make(plan: Plan, feeds: ProgramArrays): Promise<ProgramArrays>;
  /** Runs a plan of one program whose outputs go to the arrays of `into`; gives back those that it does not name. */
  write(plan: Plan, feeds: ProgramArrays, into: ProgramArrays): Promise<Readonly<Record<string, HostData>>>;
  /** What moves arrays to the device and back. */
  arrays(): DeviceArrays;
  /** Closes all that is open: memory is given back, and plans are opened anew if they are run again. */
  close(): Promise<void>;
}

/** An executor whose programs run on one device (default: the CPU). */
export function createExecutor(options: SessionOptions = {}): Executor {
  const sessions = new Map<Plan['id'], Map<number, Session>>();
  // Arrays that only programs read, where the device can keep them, and residuals: they are large, and every run of a plan needs the same.
  const keptArrays = new Map<Plan['id'], Map<string, HostData | DeviceArray>>();
  const keeps = keepsArrays(options.device ?? 'cpu');
  let device: DeviceArrays | undefined;

  const arraysOfDevice = (): DeviceArrays => {
    device ??= openDeviceArrays(options.device ?? 'cpu', options.moved);
    return device;
  };

  /** An array of a plan, the same in every run; the device's own if it keeps arrays. */
  async function ownArray(plan: Plan, name: string, dtype: DType, size: number): Promise<HostData | DeviceArray> {
    const own = keptArrays.get(plan.id) ?? new Map<string, HostData | DeviceArray>();
    keptArrays.set(plan.id, own);
    const empty = () => hostArray(dtype, size);
    const array = own.get(name) ?? (keeps && dtype !== 'float64' ? await arraysOfDevice().upload(empty() as Float32Array | Int32Array) : empty());
    own.set(name, array);
    return array;
  }

  /** Where the outputs of a program go that are given a name among the plan's arrays, if the device keeps them. */
  async function placesOf(plan: Plan, program: number, nameOf: (output: string) => string | undefined): Promise<Record<string, HostData | DeviceArray>> {
    const places: Record<string, HostData | DeviceArray> = {};
    for (const { name, dtype, shape } of (keeps && plan.programs[program]?.outputs) || []) {
      const own = nameOf(name);
      if (own !== undefined) places[name] = await ownArray(plan, own, dtype, sizeOf(shape));
    }
    return places;
  }

  /** Arrays for the residuals of one run of a rows program, by name: what is written forwards is read backwards. */
  async function residualsOf(plan: Plan, program: number, run: string, reverse: boolean): Promise<Record<string, HostData | DeviceArray>> {
    const encoded = plan.programs[program];
    const residuals: Record<string, HostData | DeviceArray> = {};
    for (const { name, shape, dtype } of (reverse ? encoded?.inputs : encoded?.outputs) ?? [])
      if (isResidual(name)) residuals[name] = await ownArray(plan, `${name} of ${run}`, dtype, sizeOf(shape));
    return residuals;
  }

  async function call(
    plan: Plan,
    program: number,
    arrays: Arrays,
    extra: ProgramArrays = {},
    { sums, into: given = {} }: CallOptions = {},
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
    const feeds: Record<string, HostData | DeviceArray> = {};
    const into: Record<string, HostData | DeviceArray> = { ...given };
    for (const { name, shape, dtype } of encoded.inputs) {
      if (sums && name.startsWith(sumName(''))) {
        const gradient = gradientName(name.slice(sumName('').length));
        const sum = await sums.next(gradient, dtype as FloatType, sizeOf(shape));
        feeds[name] = sum.from;
        into[gradient] = sum.into;
        continue;
      }
      // A cotangent that nothing contributed to is zero.
      feeds[name] = extra[name] ?? arrays.get(name) ?? zeroIfCotangent(name, dtype, sizeOf(shape));
    }
    return session.run(feeds, into);
  }

  async function runRows(plan: Plan, step: RowsStep, { arrays, sums, selections }: Run): Promise<void> {
    const { rows: data } = step;
    const { refined, cheap, dtype } = data;
    const members = data.members ?? 1;
    const size = sizeOf(data.shape);
    const reverse = step.kind === 'rows-gradient';
    const cheapBound = (name: string) => ofMembers(arrays.get(name) as Floats, members * size);
    const selection = reverse ? (selections.get(refined.lower) as Int32Array[]) : selectRows(cheapBound(cheap.lower), cheapBound(cheap.upper), data);
    if (!reverse) {
      selections.set(refined.lower, selection);
      arrays.set(refined.lower, cheapBound(cheap.lower).slice());
      arrays.set(refined.upper, cheapBound(cheap.upper).slice());
    }
    const names = reverse ? { lower: gradientName(refined.lower), upper: gradientName(refined.upper) } : refined;
    if (!arrays.has(names.lower) && !arrays.has(names.upper)) return; // nothing downstream depends on these bounds
    const bound = (name: string) => (arrays.get(name) ?? hostArray(dtype, members * size)) as Floats;
    const lower = bound(names.lower);
    const upper = bound(names.upper);
    const longest = Math.max(...selection.map(({ length }) => length));
    for (const { start, rows, program } of reverse && step.programs.length === 0 ? [] : chunks(longest, step.programs)) {
      const { from, to, ...indices } = rowIndices(selection, start, rows, data);
      const residuals = await residualsOf(plan, program, `${refined.lower} ${start} ${rows}`, reverse);
      if (reverse) {
        const cotangent = (all: Floats) => {
          const values = hostArray(dtype, members * rows) as Floats;
          from.forEach((at, i) => {
            values[to[i] as number] = all[at] as number;
          });
          return values;
        };
        const cotangents = { [gradientName('lower')]: cotangent(lower), [gradientName('upper')]: cotangent(upper) };
        await call(plan, program, arrays, { ...indices, ...residuals, ...cotangents }, { sums });
        continue;
      }
      const made = await call(plan, program, arrays, indices, { into: residuals });
      const newLower = made.lower as Floats;
      const newUpper = made.upper as Floats;
      from.forEach((at, i) => {
        lower[at] = newLower[to[i] as number] as number;
        upper[at] = newUpper[to[i] as number] as number;
      });
    }
    if (reverse && data.passThrough) {
      // Neurons without a row kept the cheap bounds, so their cotangents go there.
      for (const [member, chosen] of selection.entries())
        for (const at of chosen) {
          lower[member * size + at] = 0;
          upper[member * size + at] = 0;
        }
      await sums.add(gradientName(cheap.lower), lower);
      await sums.add(gradientName(cheap.upper), upper);
    }
  }

  async function iterate(plan: Plan, step: IterateStep, arrays: Arrays): Promise<void> {
    const { program, count, state, schedule = {}, until, deadline = '' } = step;
    const names = Object.keys(state);
    for (const [name, from] of Object.entries(state)) {
      const begin = arrays.get(from);
      if (begin === undefined) throw new Error(`plan: nothing provides the array ${from}`);
      arrays.set(name, begin);
    }
    const inputs = plan.programs[program]?.inputs ?? [];
    for (const { name, shape } of inputs) if (state[name] !== undefined) arrays.set(name, ofMembers(arrays.get(name) as HostData, sizeOf(shape)));
    for (let k = 0; k < count; k++) {
      const scalars = inputs.flatMap(({ name, dtype }) => {
        const values = schedule[name];
        if (values === undefined) return [];
        const scalar = hostArray(dtype, 1);
        scalar[0] = values[k] as number;
        return [[name, scalar] as const];
      });
      const made = await call(plan, program, arrays, Object.fromEntries(scalars));
      // What the program made is overwritten while it reads it the next time: it must read a copy, the first of which is used again.
      for (const name of names) {
        const value = made[nextName(name)] as HostData;
        if (k === 0) arrays.set(name, value.slice());
        else (arrays.get(name) as HostData).set(value);
      }
      if (until !== undefined && (arrays.get(until) as Floats).every((value) => value > 0)) break;
      if (Date.now() > ((arrays.get(deadline) as Floats | undefined)?.[0] ?? Number.POSITIVE_INFINITY)) break;
    }
  }

  async function release({ id }: Pick<Plan, 'id'>): Promise<void> {
    const open = [...(sessions.get(id)?.values() ?? [])];
    sessions.delete(id);
    for (const array of keptArrays.get(id)?.values() ?? []) if (array instanceof DeviceArray) array.dispose();
    keptArrays.delete(id);
    await Promise.all(open.map((session) => session.close()));
  }

  /** Runs the steps of a plan; the gradients that `keeping` names stay on the device. */
  async function execute(plan: Plan, feeds: ProgramArrays, keeping: ReadonlySet<string>): Promise<KeptResult> {
    const arrays: Arrays = new Map(Object.entries(feeds));
    const place = async (name: string, size: number) => (await ownArray(plan, name, 'float32', size)) as DeviceArray;
    const sums = gradientSums(arrays, keeping.size === 0 ? undefined : { names: keeping, device: arraysOfDevice(), place });
    const selections: Run['selections'] = new Map();
    const staying = programArrays(plan).made;
    for (const step of plan.steps) {
      if (step.kind === 'iterate') await iterate(plan, step, arrays);
      else if (step.kind === 'host') for (const [name, value] of await runHost(step, await call(plan, step.program, arrays))) arrays.set(name, value);
      else if (step.kind !== 'run') await runRows(plan, step, { arrays, sums, selections });
      else {
        const added = new Map(step.accumulate);
        const nameOf = (output: string) => {
          if (keeping.has(added.get(output) ?? '')) return `${output} of ${step.program}`;
          return staying.has(output) ? output : undefined;
        };
        const into = await placesOf(plan, step.program, nameOf);
        const made = await call(plan, step.program, arrays, {}, { into });
        for (const [output, value] of Object.entries({ ...made, ...into })) {
          const sum = added.get(output);
          if (sum === undefined) arrays.set(output, value);
          else await sums.add(sum, value as Floats | DeviceArray);
        }
      }
    }
    return {
      outputs: Object.fromEntries(plan.results.map((name) => [name, (arrays.get(name) as HostData).slice()])),
      gradients: plan.wrt.map(({ name, shape, dtype }) => (arrays.get(gradientName(name)) ?? hostArray(dtype, sizeOf(shape))) as Floats | DeviceArray),
    };
  }

  return {
    run: (plan, feeds) => execute(plan, feeds, new Set()) as Promise<PlanResult>,
    runKeeping: (plan, feeds) => execute(plan, feeds, keptGradients(plan, keeps)),
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
      return { ...(await call(plan, 0, new Map(Object.entries(feeds)), {}, { into })), ...into };
    },
    write: (plan, feeds, into) => call(plan, 0, new Map(Object.entries(feeds)), {}, { into }),
    arrays: arraysOfDevice,
    async close() {
      for (const id of [...sessions.keys()]) await release({ id });
      await device?.close();
    },
  };
}

/** What one run of a plan has made so far. */
interface Run {
  readonly arrays: Arrays;
  readonly sums: GradientSums;
  /** The rows that each rows stage chose for each member, by the name of its lower bounds. */
  readonly selections: Map<string, Int32Array[]>;
}

interface CallOptions {
  /** For programs that add to gradients by themselves. */
  readonly sums?: GradientSums;
  /** Where outputs are to be written. */
  readonly into?: ProgramArrays;
}

/** Gradients that a device can keep: those that are given back, in float32. Others are cotangents of bounds, which the host works on. */
function keptGradients({ wrt }: Plan, keeps: boolean): ReadonlySet<string> {
  return new Set(keeps ? wrt.filter(({ dtype }) => dtype === 'float32').map(({ name }) => gradientName(name)) : []);
}

function zeroIfCotangent(name: string, dtype: DType, size: number): HostData {
  if (!name.startsWith(gradientName(''))) throw new Error(`plan: nothing provides the array ${name}`);
  return hostArray(dtype as FloatType, size);
}
