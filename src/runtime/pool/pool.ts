/**
 * A pool of worker threads, one thread of ONNX Runtime each: two of them beat one two-thread session, keep
 * the calling thread responsive, and give the same bits however many there are. Any other device belongs to
 * one worker of its own, which runs all programs; the others then only draw normals.
 */
import '../device/telemetry.js';

import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepsArrays, WAYS } from '../device/array.js';
import { type Device, DeviceError, refuseReducedPrecision } from '../device/device.js';
import { type MemoryBudget, memoryBudget } from '../device/memory.js';
import { pairTasks } from './pair-tasks.js';
import type {
  ComputeTask,
  KeptVector,
  NormalsTask,
  Outputs,
  PairsTask,
  PopulationResult,
  PopulationTask,
  ProjectionTask,
  RunResult,
  RunTask,
  ScoreTask,
  WeighTask,
  WeightedSums,
} from './task.js';
import { Workers } from './workers.js';

/** Vectors that stay on a device, by number. Errors are those of `Pool`. */
export interface PoolVectors {
  upload(data: Float32Array): Promise<KeptVector>;
  read(vector: KeptVector): Promise<Float32Array>;
  /** Lets go of vectors that nothing under way needs. */
  drop(vectors: readonly KeptVector[]): Promise<void>;
  /** A number for a vector that a task makes. */
  reserve(length: number): KeptVector;
  /** Runs a plan of one program; the outputs that are named stay, as new vectors of these lengths. */
  compute(
    task: Omit<ComputeTask, 'keep'>,
    keep: Readonly<Record<string, number>>,
  ): Promise<{ readonly outputs: Outputs; readonly kept: Readonly<Record<string, KeptVector>> }>;
  /** Scores of perturbations; what is kept becomes vectors, others come back if they were asked for. */
  score(task: ScoreTask): Promise<Float64Array | undefined>;
}

/**
 * Workers of one thread each that run plans; results do not depend on how many there are. Close it after
 * use.
 */
export interface Pool {
  /** Where programs run. */
  readonly device: Device;
  readonly threads: number;
  /**
   * Vectors that stay on the device between calls; undefined where the runtime holds none, or for the CPU.
   */
  readonly vectors: PoolVectors | undefined;
  /**
   * Seconds that workers have spent inside ONNX Runtime and the loss kernel so far, all together. For a
   * device other than the CPU that stands for the time that it was busy: moving arrays there and back is part
   * of it, opening programs is not; what it still does after a call whose results stay there is counted where
   * a later call waits for it.
   */
  busySeconds(): number;
  /** Bytes that have gone to the device, and come from it, so far; none for the CPU. */
  movedBytes(): { readonly up: number; readonly down: number };
  /** Memory that programs may take; found out once, when it is first asked for. */
  memory(): Promise<MemoryBudget>;
  /** @throws DeviceError if a device other than the CPU cannot go on */
  run(task: RunTask): Promise<RunResult>;
  /** The results of each key at both points on each micro-batch, [keys, 2, micro-batches, results]. */
  pairs(task: PairsTask): Promise<Float64Array>;
  /** The result of each call. On a device other than the CPU, what calls share goes there once. */
  population(task: PopulationTask): Promise<PopulationResult[]>;
  /** Σ weighted normals where programs run: on a device, those of the last populations while they fit. */
  weigh(task: WeighTask): Promise<WeightedSums>;
  /**
   * Σ weighted normals over all `coordinates`, split among the workers by coordinate so that the bits do not
   * depend on the split.
   */
  normals(task: Omit<NormalsTask, 'start' | 'count'>, coordinates: number): Promise<WeightedSums>;
  /** The product of a vector, best in shared memory, with the normals of a key; workers share the keys. */
  project(task: ProjectionTask): Promise<number>;
  /**
   * Leaves calls under way on the CPU to themselves and goes on with new workers: nobody can end a call of
   * ONNX Runtime. The old workers end after their calls. Does nothing where no call is under way.
   */
  renew(): void;
  /**
   * Ends the workers after the calls under way, whose end it awaits.
   * @param options `waits: false` leaves the calls to themselves and returns at once
   */
  close(options?: { readonly waits?: boolean }): Promise<void>;
}

/** Milliseconds that `close` waits for a call: a solver may take as long as it likes. */
const CLOSE_WAITS = 30_000;

/**
 * Starts `threads` workers (default: as many as the processor runs at once), and one more for a device other
 * than the CPU. `megabytes` is what programs may take of the device's memory (default: most of what is free).
 */
export const createPool = (
  threads: number = availableParallelism(),
  device: Device = 'cpu',
  megabytes?: number,
): Pool => new WorkerPool(threads, device, megabytes);

/** Its functions are properties, so that `{ ...pool, run }` is a pool that runs in another way. */
class WorkerPool implements Pool {
  readonly device: Device;
  readonly threads: number;
  readonly vectors: PoolVectors | undefined;
  readonly #megabytes: number | undefined;
  /** Nanoseconds inside ONNX Runtime, and bytes moved each way: workers add to them. */
  readonly #busy = new BigInt64Array(new SharedArrayBuffer(8));
  readonly #moved = new BigInt64Array(new SharedArrayBuffer(16));
  #workers: Workers;
  /** Workers that run programs: those of the CPU, or the one of the device. */
  #owner: Workers;
  /** Calls under way or waiting. */
  #calls = 0;
  #budget: Promise<MemoryBudget> | undefined;
  #isOpen = true;

  constructor(threads: number, device: Device, megabytes: number | undefined) {
    // In this thread, as the environment that workers set is their own copy.
    if (device !== 'cpu') refuseReducedPrecision();
    this.device = device;
    this.threads = threads;
    this.#megabytes = megabytes;
    const [busy, moved] = [this.#busy, this.#moved];
    this.#workers = new Workers(threads, { device: 'cpu', busy });
    this.#owner = device === 'cpu' ? this.#workers : new Workers(1, { device, busy, moved });
    this.vectors = keepsArrays(device) ? poolVectors((name, task) => this.#onDevice(name, task)) : undefined;
  }

  readonly busySeconds = (): number => Number(Atomics.load(this.#busy, 0)) / 1e9;

  readonly movedBytes: Pool['movedBytes'] = () => ({
    up: Number(Atomics.load(this.#moved, WAYS.up)),
    down: Number(Atomics.load(this.#moved, WAYS.down)),
  });

  readonly memory = (): Promise<MemoryBudget> => {
    this.#budget ??= memoryBudget(this.device, this.#megabytes);
    return this.#budget;
  };

  readonly run: Pool['run'] = (task) => this.#onDevice('run', task);
  readonly pairs: Pool['pairs'] = async (task) => {
    const tasks = pairTasks(task, this.threads, this.device === 'cpu');
    const parts = await Promise.all(tasks.map((part) => this.#onDevice<Float64Array>('pairs', part)));
    const all = new Float64Array(parts.reduce((size, { length }) => size + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };
  readonly population: Pool['population'] = (task) => this.#onDevice('population', task);
  readonly weigh: Pool['weigh'] = (task) => this.#onDevice('weigh', task);

  readonly normals: Pool['normals'] = async (task, coordinates) => {
    const share = Math.ceil(coordinates / this.threads);
    const starts = Array.from({ length: Math.ceil(coordinates / share) }, (_, i) => i * share);
    const draw = (start: number): Promise<WeightedSums> => {
      const part: NormalsTask = { ...task, start, count: Math.min(share, coordinates - start) };
      return this.#workers.run('normals', part);
    };
    return joined(await Promise.all(starts.map(draw)), starts, coordinates);
  };

  readonly project: Pool['project'] = (task) => this.#workers.run('project', task);

  readonly renew = (): void => {
    if (this.device !== 'cpu' || this.#calls === 0) return;
    const old = this.#workers;
    this.#workers = new Workers(this.threads, { device: 'cpu', busy: this.#busy });
    this.#owner = this.#workers;
    this.#calls = 0;
    void old.close();
  };

  // Running tasks are waited for: a thread that is ended inside ONNX Runtime takes the process with it.
  readonly close: Pool['close'] = async ({ waits = true } = {}) => {
    this.#isOpen = false;
    const all = [...new Set([this.#workers, this.#owner])];
    const closed = Promise.all(all.map((each) => each.close()));
    if (!waits) return;
    const late = sleep(CLOSE_WAITS, undefined, { ref: false });
    await Promise.race([closed, late.then(() => Promise.all(all.map((each) => each.destroy())))]);
  };

  async #onDevice<Result>(name: string, task: object): Promise<Result> {
    const owner = this.#owner;
    this.#calls++;
    try {
      return await owner.run(name, task);
    } catch (error) {
      throw this.device !== 'cpu' && this.#isOpen ? new DeviceError(this.device, error) : error;
    } finally {
      if (owner === this.#owner) this.#calls--;
    }
  }
}

/** Parts of sums that begin at `starts`, as whole ones. */
function joined(parts: readonly WeightedSums[], starts: readonly number[], size: number): WeightedSums {
  const whole = (part: (sums: WeightedSums) => Float64Array): Float64Array => {
    const sums = new Float64Array(size);
    parts.forEach((each, i) => {
      sums.set(part(each), starts[i]);
    });
    return sums;
  };
  const first = whole((sums) => sums.first);
  return parts[0]?.second === undefined
    ? { first }
    : { first, second: whole((sums) => sums.second as Float64Array) };
}

/** The worker of a device, which runs its tasks one after the other. */
type OnDevice = <Result>(name: string, task: object) => Promise<Result>;

function poolVectors(onDevice: OnDevice): PoolVectors {
  let vectors = 0;
  const reserve = (length: number): KeptVector => ({ id: vectors++, length });
  return {
    async upload(data) {
      const vector = reserve(data.length);
      await onDevice('upload', { vector, data });
      return vector;
    },
    read: (vector) => onDevice('read', vector),
    drop: (vectors) => onDevice('drop', vectors),
    reserve,
    async compute({ plan, feeds }, keep) {
      const kept = Object.fromEntries(Object.entries(keep).map(([name, length]) => [name, reserve(length)]));
      const task: ComputeTask = { plan, feeds, keep: kept };
      return { outputs: await onDevice<Outputs>('compute', task), kept };
    },
    score: (task) => onDevice('score', task),
  };
}
