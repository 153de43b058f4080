/** Runs plans in the calling thread: keeps the programs of each plan open, moves arrays between stages, collects gradients. */
import { type DType, type FloatType, type HostData, hostArray, sizeOf } from '../graph/tensor.js';
import { runHost } from './host-stage.js';
import { gradientName, type IterateStep, isResidual, nextName, type Plan, type RowsData, type RowsStep, sumName } from './plan.js';
import { type Feeds, openSession, type Session, type SessionOptions } from './session.js';

type Floats = Float32Array | Float64Array;
type Arrays = Map<string, HostData>;

export interface PlanResult {
  readonly outputs: Readonly<Record<string, HostData>>;
  /** Gradients of `loss` in the order of the plan's `wrt`; overwritten by the plan's next run. */
  readonly gradients: readonly Floats[];
}

export interface Executor {
  run(plan: Plan, feeds: Feeds): Promise<PlanResult>;
  close(): Promise<void>;
}

function addInto(arrays: Arrays, name: string, addend: Floats, fresh: Set<string>): void {
  if (!fresh.has(name)) {
    fresh.add(name);
    arrays.set(name, addend);
    return;
  }
  const target = arrays.get(name) as Floats;
  for (let i = 0; i < addend.length; i++) target[i] = (target[i] as number) + (addend[i] as number);
}

/**
 * Flat positions (feature · batch + image) of the neurons that get a row, all channels of one place of one image after another:
 * neighbouring rows then share what they read of the layers behind.
 */
function selectRows(arrays: Arrays, { cheap, all, places, shape: [features, batch] }: RowsData): Int32Array {
  const lower = arrays.get(cheap.lower) as Floats;
  const upper = arrays.get(cheap.upper) as Floats;
  const chosen = new Int32Array(lower.length);
  const [perPlace, perChannel] = [features / places, places * batch];
  let count = 0;
  for (let place = 0; place < perChannel; place++)
    for (let channel = 0; channel < perPlace; channel++) {
      const at = channel * perChannel + place;
      if (all || ((lower[at] as number) < 0 && (upper[at] as number) > 0)) chosen[count++] = at;
    }
  return chosen.subarray(0, count);
}

/** Splits `count` rows into runs of the programs at hand: the largest while it is full, then the smallest that holds the rest. */
function chunks(count: number, programs: RowsStep['programs']): { start: number; used: number; rows: number; program: number }[] {
  const result: { start: number; used: number; rows: number; program: number }[] = [];
  for (let start = 0; start < count; ) {
    const rest = count - start;
    const choice = programs.find(({ rows }) => rows >= rest) ?? programs.at(-1);
    if (choice === undefined) throw new Error('plan: a rows stage needs at least one program');
    const used = Math.min(rest, choice.rows);
    result.push({ start, used, ...choice });
    start += used;
  }
  return result;
}

/** An executor whose programs run on one device (default: the CPU). */
export function createExecutor(options: SessionOptions = {}): Executor {
  const sessions = new Map<string, Session>();
  // Residuals live as long as the executor: they are large, and every run of a plan needs the same ones.
  const kept: Arrays = new Map();

  async function call(
    plan: Plan,
    program: number,
    arrays: Arrays,
    extra: Feeds = {},
    { fresh, into: given = {} }: CallOptions = {},
  ): Promise<Record<string, HostData>> {
    const key = `${plan.id}/${program}`;
    const encoded = plan.programs[program];
    if (encoded === undefined) throw new Error(`plan: no program ${program}`);
    let session = sessions.get(key);
    if (session === undefined) {
      session = await openSession(encoded, options);
      sessions.set(key, session);
    }
    const feeds: Record<string, HostData> = {};
    const into: Record<string, HostData> = { ...given };
    for (const { name, shape, dtype } of encoded.inputs) {
      if (fresh && name.startsWith(sumName(''))) {
        const gradient = gradientName(name.slice(sumName('').length));
        if (!fresh.has(gradient)) arrays.set(gradient, hostArray(dtype, sizeOf(shape)));
        fresh.add(gradient);
        into[gradient] = arrays.get(gradient) as HostData;
        feeds[name] = into[gradient];
        continue;
      }
      // A cotangent that nothing contributed to is zero.
      feeds[name] = extra[name] ?? arrays.get(name) ?? zeroIfCotangent(name, dtype, sizeOf(shape));
    }
    return session.run(feeds, into);
  }

  async function runRows(plan: Plan, step: RowsStep, arrays: Arrays, fresh: Set<string>): Promise<void> {
    const { rows: data } = step;
    const { refined, cheap, places, dtype } = data;
    const [, batch] = data.shape;
    const reverse = step.kind === 'rows-gradient';
    const selectionName = `rows of ${refined.lower}`;
    const selection = reverse ? (arrays.get(selectionName) as Int32Array) : selectRows(arrays, data);
    if (!reverse) {
      arrays.set(selectionName, selection);
      arrays.set(refined.lower, (arrays.get(cheap.lower) as Floats).slice());
      arrays.set(refined.upper, (arrays.get(cheap.upper) as Floats).slice());
    }
    const names = reverse ? { lower: gradientName(refined.lower), upper: gradientName(refined.upper) } : refined;
    if (!arrays.has(names.lower) && !arrays.has(names.upper)) return; // nothing downstream depends on these bounds
    const bound = (name: string) => (arrays.get(name) ?? hostArray(dtype, sizeOf(data.shape))) as Floats;
    const lower = bound(names.lower);
    const upper = bound(names.upper);
    for (const { start, used, rows, program } of reverse && step.programs.length === 0 ? [] : chunks(selection.length, step.programs)) {
      const channel = new Int32Array(rows);
      const place = new Int32Array(rows);
      const position = new Int32Array(rows);
      const l = hostArray(dtype, reverse ? rows : 0) as Floats;
      const u = hostArray(dtype, reverse ? rows : 0) as Floats;
      for (let i = 0; i < used; i++) {
        const at = selection[start + i] as number;
        const feature = Math.floor(at / batch);
        position[i] = at;
        channel[i] = Math.floor(feature / places);
        place[i] = (feature % places) * batch + (at % batch);
        if (reverse) {
          l[i] = lower[at] as number;
          u[i] = upper[at] as number;
        }
      }
      const indices: Record<string, HostData> = { channel, place, position };
      const residuals = residualsOf(plan, program, kept, `${plan.id} ${refined.lower} ${start} ${rows}`, reverse);
      if (reverse) {
        await call(plan, program, arrays, { ...indices, ...residuals, [gradientName('lower')]: l, [gradientName('upper')]: u }, { fresh });
        continue;
      }
      const made = await call(plan, program, arrays, indices, { into: residuals });
      const newLower = made.lower as Floats;
      const newUpper = made.upper as Floats;
      for (let i = 0; i < used; i++) {
        const at = selection[start + i] as number;
        lower[at] = newLower[i] as number;
        upper[at] = newUpper[i] as number;
      }
    }
    if (reverse && data.passThrough) {
      // Neurons without a row kept the cheap bounds, so their cotangents go there.
      for (let i = 0; i < selection.length; i++) {
        lower[selection[i] as number] = 0;
        upper[selection[i] as number] = 0;
      }
      addInto(arrays, gradientName(cheap.lower), lower, fresh);
      addInto(arrays, gradientName(cheap.upper), upper, fresh);
    }
  }

  async function iterate(plan: Plan, { program, count, state, schedule = {}, until, deadline = '' }: IterateStep, arrays: Arrays): Promise<void> {
    const names = Object.keys(state);
    for (const [name, from] of Object.entries(state)) {
      const begin = arrays.get(from);
      if (begin === undefined) throw new Error(`plan: nothing provides the array ${from}`);
      arrays.set(name, begin);
    }
    const inputs = plan.programs[program]?.inputs ?? [];
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

  return {
    async run(plan, feeds) {
      const arrays: Arrays = new Map(Object.entries(feeds));
      const fresh = new Set<string>();
      for (const step of plan.steps) {
        if (step.kind === 'iterate') await iterate(plan, step, arrays);
        else if (step.kind === 'host') for (const [name, value] of await runHost(step, await call(plan, step.program, arrays))) arrays.set(name, value);
        else if (step.kind !== 'run') await runRows(plan, step, arrays, fresh);
        else {
          const made = await call(plan, step.program, arrays);
          const accumulated = new Map(step.accumulate);
          for (const [name, value] of Object.entries(made)) {
            const into = accumulated.get(name);
            if (into === undefined) arrays.set(name, value);
            else addInto(arrays, into, value as Floats, fresh);
          }
        }
      }
      return {
        outputs: Object.fromEntries(plan.results.map((name) => [name, (arrays.get(name) as HostData).slice()])),
        gradients: plan.wrt.map(({ name, shape, dtype }) => (arrays.get(gradientName(name)) ?? hostArray(dtype, sizeOf(shape))) as Floats),
      };
    },
    async close() {
      const open = [...sessions.values()];
      sessions.clear();
      kept.clear();
      await Promise.all(open.map((session) => session.close()));
    },
  };
}

interface CallOptions {
  /** Gradients that already hold something; sums of others begin at zero. */
  readonly fresh?: Set<string>;
  /** Where outputs are to be written. */
  readonly into?: Feeds;
}

/** Arrays for the residuals of one run of a rows program, by name: new ones forwards, the same ones again backwards. */
function residualsOf(plan: Plan, program: number, kept: Arrays, run: string, reverse: boolean): Record<string, HostData> {
  const encoded = plan.programs[program];
  const values = (reverse ? encoded?.inputs : encoded?.outputs) ?? [];
  const residuals: Record<string, HostData> = {};
  for (const { name, shape, dtype } of values) {
    if (!isResidual(name)) continue;
    const key = `${name} of ${run}`;
    const array = kept.get(key) ?? hostArray(dtype, sizeOf(shape));
    kept.set(key, array);
    residuals[name] = array;
  }
  return residuals;
}

function zeroIfCotangent(name: string, dtype: DType, size: number): HostData {
  if (!name.startsWith(gradientName(''))) throw new Error(`plan: nothing provides the array ${name}`);
  return hostArray(dtype as FloatType, size);
}
