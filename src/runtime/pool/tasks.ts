/**
 * What a pool does with its tasks, in one thread: runs plans and draws normals. Programs stay open from one
 * task to the next.
 */
import type { HostData } from '../../graph/tensor.js';
import type { DeviceArray } from '../device/array.js';
import { createExecutor, type Executor, type KeptFeeds } from '../execution/executor.js';
import type { Feeds, ProgramArrays, SessionOptions } from '../execution/session.js';
import { gradientName, type Plan } from '../plan/plan.js';
import { accumulateNormals, perturb, perturbPair, projectNormals, uniforms } from '../random/keys.js';
import { unshared } from '../shared-memory.js';
import { DeviceSums } from './device-sums.js';
import { type KeptNormals, keptNormals } from './normals.js';
import {
  type ComputeTask,
  isKeptVector,
  type KeptVector,
  type NormalsTask,
  type Outputs,
  type PairsTask,
  type ParameterSlice,
  type PopulationResult,
  type PopulationTask,
  type ProjectionTask,
  type RunResult,
  type RunTask,
  type ScoreTask,
  type TaskFeeds,
  type UniformNumbers,
  type VectorFeeds,
  type WeighTask,
  type WeightedSums,
} from './task.js';
import { type KeptVectors, keptVectors } from './vectors.js';

const withParameters = (feeds: Feeds, theta: Float32Array, layout: readonly ParameterSlice[]): Feeds => ({
  ...feeds,
  ...Object.fromEntries(
    layout.map(({ name, offset, size }) => [name, theta.subarray(offset, offset + size)]),
  ),
});

function drawn({ key, start, size }: UniformNumbers): Float32Array {
  const out = new Float32Array(size);
  uniforms(key, out, start);
  return out;
}

/** What workers draw themselves beside what was sent; runs on the CPU may read that in shared memory. */
const feedsOf = (feeds: TaskFeeds, read: (data: HostData) => HostData = unshared): Feeds =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, data]) => [name, 'key' in data ? drawn(data) : read(data)]),
  );

/** Feeds of an executor that are disposed of together. */
class SharedFeeds {
  readonly #executor: Executor;
  readonly #plan: Plan;
  readonly #feeds: KeptFeeds[] = [];

  constructor(executor: Executor, plan: Plan) {
    this.#executor = executor;
    this.#plan = plan;
  }

  /** The same feeds, where the device reads them. */
  async of(feeds: Feeds): Promise<ProgramArrays> {
    const shared = await this.#executor.keep(this.#plan, feeds);
    this.#feeds.push(shared);
    return shared.feeds;
  }

  dispose(): void {
    for (const { dispose } of this.#feeds) dispose();
  }
}

/** Does tasks one after the other, on one executor. */
export class Tasks {
  readonly #isDevice: boolean;
  readonly #executor: Executor;
  readonly #normals: KeptNormals;
  readonly #vectors: KeptVectors;

  constructor(options: SessionOptions) {
    this.#isDevice = (options.device ?? 'cpu') !== 'cpu';
    this.#executor = createExecutor(options);
    this.#normals = keptNormals(this.#executor);
    this.#vectors = keptVectors(this.#executor.arrays);
  }

  readonly run = (task: RunTask): Promise<RunResult> => this.#onOwn(() => this.#runAt(task));
  readonly pairs = (task: PairsTask): Promise<Float64Array> => this.#onOwn(() => this.#pairsAt(task));

  readonly population = (task: PopulationTask): Promise<PopulationResult[]> =>
    this.#givingBack(() => this.#sharing(task.plan, (shared) => this.#populationCalls(task, shared)));

  readonly weigh = (task: WeighTask): Promise<WeightedSums> => this.#normals.weigh(task);

  /**
   * Scores that `keep` names stay; those of σ that it does not name come back, added up in float64 and in the
   * order of the calls.
   */
  readonly score = (task: ScoreTask): Promise<Float64Array | undefined> =>
    this.#givingBack(() => this.#sharing(task.scores.begin, (shared) => this.#scoreCalls(task, shared)));

  readonly compute = ({ plan, feeds, keep }: ComputeTask): Promise<Outputs> =>
    this.#givingBack(async () => {
      const into: Record<string, DeviceArray> = {};
      for (const [name, { length }] of Object.entries(keep))
        into[name] = await this.#vectors.allocate(length);
      const { onDevice, ofHost } = await this.#parted(feeds);
      const outputs = await this.#executor.write(plan, { ...onDevice, ...ofHost }, into);
      for (const [name, vector] of Object.entries(keep))
        this.#vectors.keep(vector, into[name] as DeviceArray);
      return Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, values.slice()]));
    });

  readonly upload = ({ vector, data }: { vector: KeptVector; data: Float32Array }): Promise<void> =>
    this.#vectors.put(vector, unshared(data));
  readonly read = (vector: KeptVector): Promise<Float32Array> => this.#vectors.read(vector);
  readonly drop = (dropped: readonly KeptVector[]): void => this.#vectors.drop(dropped);

  readonly normals = ({ keys, first, second, start, count }: NormalsTask): WeightedSums =>
    accumulateNormals(keys, first, second, start, count);

  readonly project = ({ key, vector }: ProjectionTask): number => projectNormals(key, vector);

  /** Gives back what is open. */
  readonly close = (): Promise<void> => this.#executor.close();

  /** On the CPU, an error of one task is none of the others'. */
  #onOwn<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#isDevice ? this.#givingBack(work) : work();
  }

  async #sharing<Result>(plan: Plan, work: (shared: SharedFeeds) => Promise<Result>): Promise<Result> {
    const shared = new SharedFeeds(this.#executor, plan);
    try {
      return await work(shared);
    } finally {
      shared.dispose();
    }
  }

  /** Outputs of a population on each micro-batch, and gradients summed over them. */
  async #onBatches(plan: Plan, feeds: readonly ProgramArrays[]): Promise<PopulationResult> {
    const outputs: Outputs[] = [];
    const gradients: Float32Array[] = [];
    for (const feed of feeds) {
      const result = await this.#executor.run(plan, feed);
      outputs.push(result.outputs);
      result.gradients.forEach((gradient, k) => {
        const sum = gradients[k];
        if (sum === undefined) gradients[k] = gradient.slice() as Float32Array;
        else for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (gradient[i] as number);
      });
    }
    return { outputs, gradients };
  }

  /** The same as `onBatches`, but the gradients are added up where they are. */
  async #collected(
    plan: Plan,
    feeds: readonly ProgramArrays[],
    weights: Float32Array,
    sum: DeviceSums,
  ): Promise<PopulationResult> {
    const outputs: Outputs[] = [];
    for (const feed of feeds) {
      const result = await this.#executor.runKeeping(plan, feed);
      outputs.push(result.outputs);
      await sum.add({
        weights,
        ...Object.fromEntries(
          plan.wrt.map(({ name }, k) => [
            gradientName(name),
            result.gradients[k] as Float32Array | DeviceArray,
          ]),
        ),
      });
    }
    return { outputs, gradients: [] };
  }

  /** Feeds of the two kinds apart: vectors where they are, and what is the host's. */
  async #parted(feeds: VectorFeeds): Promise<{ readonly onDevice: ProgramArrays; readonly ofHost: Feeds }> {
    const onDevice: Record<string, DeviceArray> = {};
    const ofHost: Record<string, HostData> = {};
    for (const [name, data] of Object.entries(feeds)) {
      if (isKeptVector(data)) onDevice[name] = await this.#vectors.get(data);
      else ofHost[name] = unshared(data);
    }
    return { onDevice, ofHost };
  }

  /**
   * A device out of memory has to have it back before fewer members are tried, and WebGPU gives back what it
   * had with the last program.
   */
  async #givingBack<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      this.#normals.forget();
      await this.#vectors.rescue();
      await this.#executor.close();
      throw error;
    }
  }

  async #runAt(task: RunTask): Promise<RunResult> {
    const { plan, layout, perturbation } = task;
    const theta = unshared(task.theta);
    const point = perturbation ? new Float32Array(theta.length) : theta;
    if (perturbation) perturb(theta, perturbation.key, perturbation.sigma, 1, point);
    const feeds = this.#isDevice ? feedsOf(task.feeds) : feedsOf(task.feeds, (data) => data);
    const { outputs, gradients } = await this.#executor.run(plan, withParameters(feeds, point, layout));
    if (plan.wrt.length === 0) return { outputs };
    const gradient = new Float32Array(theta.length);
    layout.forEach(({ offset }, i) => {
      gradient.set(gradients[i] as Float32Array, offset);
    });
    return { outputs, gradient };
  }

  async #pairsAt({ plan, layout, keys, sigma, ...task }: PairsTask): Promise<Float64Array> {
    const feeds = task.feeds.map((feed) => feedsOf(feed));
    const theta = unshared(task.theta);
    const coordinates = theta.length;
    const points = new Float32Array(2 * keys.length * coordinates);
    const at = (i: number) => points.subarray(i * coordinates, (i + 1) * coordinates);
    for (const [i, key] of keys.entries()) perturbPair(theta, key, sigma, at(2 * i), at(2 * i + 1));
    return this.#executor.runMembers(plan, { points, coordinates, layout }, feeds);
  }

  /** Feeds of each micro-batch with all that the calls of a task share. */
  async #batchesOf(
    { feeds, parameters, prepare }: PopulationTask,
    shared: SharedFeeds,
  ): Promise<ProgramArrays[]> {
    const { onDevice, ofHost } = await this.#parted(parameters);
    const sent = { ...onDevice, ...(await shared.of(ofHost)) };
    const common = prepare === undefined ? sent : await this.#executor.make(prepare, sent);
    const batches: ProgramArrays[] = [];
    for (const feed of feeds) batches.push({ ...common, ...(await shared.of(feedsOf(feed))) });
    return batches;
  }

  async #populationCalls(task: PopulationTask, shared: SharedFeeds): Promise<PopulationResult[]> {
    const { plan, programs, calls, collect } = task;
    const batches = await this.#batchesOf(task, shared);
    const sum = collect && new DeviceSums(this.#executor, this.#vectors, collect, { sum: collect.into });
    const results: PopulationResult[] = [];
    for (let call = 0; call < calls.length; call++) {
      const z: ProgramArrays =
        programs === undefined ? {} : { z: await this.#normals.of(programs, calls, call) };
      const feeds = batches.map((batch) => ({ ...batch, ...z }));
      const weights = collect?.weights[call] as Float32Array;
      results.push(
        sum ? await this.#collected(plan, feeds, weights, sum) : await this.#onBatches(plan, feeds),
      );
    }
    sum?.finish();
    return results;
  }

  async #scoreCalls(task: ScoreTask, shared: SharedFeeds): Promise<Float64Array | undefined> {
    const { programs, calls, scores, first, second, sigma, keep } = task;
    const sums = new DeviceSums(this.#executor, this.#vectors, scores, keep);
    const { onDevice, ofHost } = await this.#parted(sigma);
    const common = { ...onDevice, ...(await shared.of(ofHost)) };
    let totals: Float64Array | undefined;
    for (let call = 0; call < calls.length; call++) {
      const z = await this.#normals.of(programs, calls, call);
      const weights = {
        'first weights': first[call] as Float32Array,
        ...(second && { 'second weights': second[call] as Float32Array }),
      };
      const { second: part } = await sums.add({ z, ...common, ...weights });
      if (part === undefined) continue;
      totals ??= new Float64Array(part.length);
      for (let j = 0; j < totals.length; j++) totals[j] = (totals[j] as number) + (part[j] as number);
    }
    sums.finish();
    return totals;
  }
}
