/**
 * A pool of worker threads, one thread of ONNX Runtime each: two of them beat one two-thread session, keep
 * the calling thread responsive, and give the same bits however many there are. Any other device belongs to
 * one worker of its own, which runs all programs; the others then only draw normals.
 */
import '../device/telemetry.js';

import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { compiledUrl } from '../compiled-file.js';
import { keepsArrays, WAYS } from '../device/array.js';
import { type Device, DeviceError, refuseReducedPrecision } from '../device/device.js';
import { type MemoryBudget, memoryBudget } from '../device/memory.js';
import type { SessionOptions } from '../execution/session.js';
import type {
  ComputeTask,
  KeptVector,
  NormalsTask,
  Outputs,
  PairResult,
  PairTask,
  PopulationResult,
  PopulationTask,
  RunResult,
  RunTask,
  ScoreTask,
  WeighTask,
} from './task.js';

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

export interface Pool {
  /** Where programs run. */
  readonly device: Device;
  readonly threads: number;
  /**
   * What stays on the device between calls; undefined where the runtime keeps nothing there, or for the CPU.
   */
  readonly vectors: PoolVectors | undefined;
  /**
   * Seconds that workers have spent inside ONNX Runtime so far, all together. For a device other than the CPU
   * that stands for the time that it was busy: moving arrays there and back is part of it, opening programs
   * is not; what it still does after a call whose results stay there is counted where a later call waits for
   * it.
   */
  busySeconds(): number;
  /** Bytes that have gone to the device, and come from it, so far; none for the CPU. */
  movedBytes(): { readonly up: number; readonly down: number };
  /** What programs may take there; found out once, when it is first asked for. */
  memory(): Promise<MemoryBudget>;
  /** @throws DeviceError if a device other than the CPU cannot go on */
  run(task: RunTask): Promise<RunResult>;
  pair(task: PairTask): Promise<PairResult>;
  /** The result of each call. On a device other than the CPU, what calls share goes there once. */
  population(task: PopulationTask): Promise<PopulationResult[]>;
  /** Σ weighted normals where programs run: on a device, those of the last populations while they fit. */
  weigh(task: WeighTask): Promise<{ first: Float64Array; second?: Float64Array }>;
  /**
   * Σ weighted normals over all `coordinates`, split among the workers by coordinate so that the bits do not
   * depend on the split.
   */
  normals(
    task: Omit<NormalsTask, 'start' | 'count'>,
    coordinates: number,
  ): Promise<{ first: Float64Array; second?: Float64Array }>;
  close(): Promise<void>;
}

const workerFile = fileURLToPath(compiledUrl('runtime/pool/worker.js'));

/** The same numbers where every worker reads them without a copy being made for its message. */
export function inSharedMemory<T extends Float32Array | Float64Array | Int32Array>(data: T): T {
  const make = data.constructor as new (buffer: SharedArrayBuffer) => T;
  const shared = new make(new SharedArrayBuffer(data.byteLength));
  shared.set(data);
  return shared;
}

function workers(threads: number, options: SessionOptions): Piscina {
  const piscina = new Piscina({
    filename: workerFile,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    workerData: options,
  });
  // Only that tasks still run when the pool is closed: what closed it is the error to be told.
  piscina.on('error', () => undefined);
  return piscina;
}

/**
 * Starts `threads` workers (default: as many as the processor runs at once), and one more for a device other
 * than the CPU. `megabytes` is what programs may take of the device's memory (default: most of what is free).
 */
export function createPool(
  threads: number = availableParallelism(),
  device: Device = 'cpu',
  megabytes?: number,
): Pool {
  // In this thread, as the environment that workers set is their own copy.
  if (device !== 'cpu') refuseReducedPrecision();
  const busy = new BigInt64Array(new SharedArrayBuffer(8));
  const moved = new BigInt64Array(new SharedArrayBuffer(16));
  const piscina = workers(threads, { device: 'cpu', busy });
  const owner = device === 'cpu' ? piscina : workers(1, { device, busy, moved });
  let budget: Promise<MemoryBudget> | undefined;
  let open = true;
  const onDevice = async <Result>(name: string, task: object): Promise<Result> => {
    try {
      return await owner.run(task, { name });
    } catch (error) {
      throw device !== 'cpu' && open ? new DeviceError(device, error) : error;
    }
  };
  let vectorsSoFar = 0;
  const reserve = (length: number): KeptVector => ({ id: vectorsSoFar++, length });
  const vectors: PoolVectors = {
    async upload(data) {
      const vector = reserve(data.length);
      await onDevice('upload', { vector, data });
      return vector;
    },
    read: (vector) => onDevice('read', vector),
    drop: (given) => onDevice('drop', given),
    reserve,
    async compute({ plan, feeds }, keep) {
      const kept = Object.fromEntries(Object.entries(keep).map(([name, length]) => [name, reserve(length)]));
      return {
        outputs: await onDevice<Outputs>('compute', { plan, feeds, keep: kept } satisfies ComputeTask),
        kept,
      };
    },
    score: (task) => onDevice('score', task),
  };
  return {
    device,
    threads,
    vectors: keepsArrays(device) ? vectors : undefined,
    movedBytes: () => ({
      up: Number(Atomics.load(moved, WAYS.up)),
      down: Number(Atomics.load(moved, WAYS.down)),
    }),
    busySeconds: () => Number(Atomics.load(busy, 0)) / 1e9,
    memory() {
      budget ??= memoryBudget(device, megabytes);
      return budget;
    },
    run: (task) => onDevice('run', task),
    pair: (task) => onDevice('pair', task),
    population: (task) => onDevice('population', task),
    weigh: (task) => onDevice('weigh', task),
    async normals({ keys, first, second }, coordinates) {
      const share = Math.ceil(coordinates / threads);
      const starts = Array.from({ length: Math.ceil(coordinates / share) }, (_, i) => i * share);
      const parts: { first: Float64Array; second?: Float64Array }[] = await Promise.all(
        starts.map((start) => {
          const task: NormalsTask = {
            keys,
            first,
            second,
            start,
            count: Math.min(share, coordinates - start),
          };
          return piscina.run(task, { name: 'normals' });
        }),
      );
      const joined = (
        pick: (part: { first: Float64Array; second?: Float64Array }) => Float64Array | undefined,
      ): Float64Array => {
        const whole = new Float64Array(coordinates);
        parts.forEach((part, i) => {
          whole.set(pick(part) as Float64Array, starts[i]);
        });
        return whole;
      };
      return second
        ? { first: joined((p) => p.first), second: joined((p) => p.second) }
        : { first: joined((p) => p.first) };
    },
    // Running tasks are waited for, for half a minute: a thread that is ended inside ONNX Runtime takes the
    // process with it, but a solver may take as long as it likes.
    async close() {
      open = false;
      await Promise.all([...new Set([piscina, owner])].map((each) => each.close({ force: true })));
    },
  };
}
