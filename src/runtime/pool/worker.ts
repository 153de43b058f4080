/** Worker thread: runs plans and draws normals. Programs stay open from one task to the next. */
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import type { HostData } from '../../graph/tensor.js';
import type { DeviceArray } from '../device/array.js';
import { createExecutor, type KeptFeeds } from '../execution/executor.js';
import type { Feeds, ProgramArrays, SessionOptions } from '../execution/session.js';
import { gradientName, type Plan } from '../plan/plan.js';
import { accumulateNormals, perturb, perturbPair, projectNormals, uniforms } from '../random/keys.js';
import { DeviceSums } from './device-sums.js';
import { keptNormals } from './normals.js';
import {
  type ComputeTask,
  isKeptVector,
  type KeptVector,
  type NormalsTask,
  type Outputs,
  type PairResult,
  type PairTask,
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
import { keptVectors } from './vectors.js';

const isDevice = ((workerData as SessionOptions).device ?? 'cpu') !== 'cpu';
const executor = createExecutor(workerData as SessionOptions);
const drawnNormals = keptNormals(executor);
const vectors = keptVectors(executor.arrays);

/** ONNX Runtime refuses shared memory. */
const unshared = <T extends HostData>(data: T): T =>
  data.buffer instanceof SharedArrayBuffer ? (data.slice() as T) : data;

const withParameters = (feeds: Feeds, theta: Float32Array, layout: readonly ParameterSlice[]): Feeds => ({
  ...feeds,
  ...Object.fromEntries(
    layout.map(({ name, offset, size }) => [name, theta.subarray(offset, offset + size)]),
  ),
});

/** A result whose arrays are moved to the caller rather than copied. */
const moved = <T extends object>(value: T, buffers: ArrayBufferLike[]): T =>
  move({ [transferableSymbol]: buffers, [valueSymbol]: value } as unknown as Parameters<
    typeof move
  >[0]) as unknown as T;

function drawn({ key, start, size }: UniformNumbers): Float32Array {
  const out = new Float32Array(size);
  uniforms(key, out, start);
  return out;
}

const feedsOf = (feeds: TaskFeeds): Feeds =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, data]) => [name, 'key' in data ? drawn(data) : unshared(data)]),
  );

/** Outputs of a population on each micro-batch, and gradients summed over them. */
async function onBatches(plan: Plan, feeds: readonly ProgramArrays[]): Promise<PopulationResult> {
  const outputs: Outputs[] = [];
  const gradients: Float32Array[] = [];
  for (const feed of feeds) {
    const result = await executor.run(plan, feed);
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
async function collected(
  plan: Plan,
  feeds: readonly ProgramArrays[],
  weights: Float32Array,
  sum: DeviceSums,
): Promise<PopulationResult> {
  const outputs: Outputs[] = [];
  for (const feed of feeds) {
    const result = await executor.runKeeping(plan, feed);
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
async function parted(
  feeds: VectorFeeds,
): Promise<{ readonly onDevice: ProgramArrays; readonly ofHost: Feeds }> {
  const onDevice: Record<string, DeviceArray> = {};
  const ofHost: Record<string, HostData> = {};
  for (const [name, data] of Object.entries(feeds)) {
    if (isKeptVector(data)) onDevice[name] = await vectors.get(data);
    else ofHost[name] = unshared(data);
  }
  return { onDevice, ofHost };
}

/**
 * A device out of memory has to have it back before fewer members are tried, and WebGPU gives back what it
 * had with the last program.
 */
async function givingBack<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    drawnNormals.forget();
    await vectors.rescue();
    await executor.close();
    throw error;
  }
}

async function runAt(task: RunTask): Promise<RunResult> {
  const { plan, layout, perturbation } = task;
  const theta = unshared(task.theta);
  const point = perturbation ? new Float32Array(theta.length) : theta;
  if (perturbation) perturb(theta, perturbation.key, perturbation.sigma, 1, point);
  const { outputs, gradients } = await executor.run(plan, withParameters(feedsOf(task.feeds), point, layout));
  if (plan.wrt.length === 0) return { outputs };
  const gradient = new Float32Array(theta.length);
  layout.forEach(({ offset }, i) => {
    gradient.set(gradients[i] as Float32Array, offset);
  });
  return moved({ outputs, gradient }, [gradient.buffer]);
}

async function pairAt({ plan, layout, perturbation, ...task }: PairTask): Promise<PairResult> {
  const feeds = task.feeds.map(feedsOf);
  const [plus, minus] = [new Float32Array(task.theta.length), new Float32Array(task.theta.length)];
  perturbPair(unshared(task.theta), perturbation.key, perturbation.sigma, plus, minus);
  const at = async (point: Float32Array) => {
    const outputs = [];
    for (const feed of feeds)
      outputs.push((await executor.run(plan, withParameters(feed, point, layout))).outputs);
    return outputs;
  };
  return { plus: await at(plus), minus: await at(minus) };
}

/** On the CPU, an error of one task is none of the others'. */
const onOwn = <Result>(work: () => Promise<Result>): Promise<Result> =>
  isDevice ? givingBack(work) : work();

export const run = (task: RunTask): Promise<RunResult> => onOwn(() => runAt(task));
export const pair = (task: PairTask): Promise<PairResult> => onOwn(() => pairAt(task));

/** Feeds of an executor that are disposed of together. */
class SharedFeeds {
  readonly #plan: Plan;
  readonly #feeds: KeptFeeds[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** The same feeds, where the device reads them. */
  async of(feeds: Feeds): Promise<ProgramArrays> {
    const shared = await executor.keep(this.#plan, feeds);
    this.#feeds.push(shared);
    return shared.feeds;
  }

  dispose(): void {
    for (const { dispose } of this.#feeds) dispose();
  }
}

/** Feeds of each micro-batch with all that the calls of a task share. */
async function batchesOf(
  { feeds, parameters, prepare }: PopulationTask,
  shared: SharedFeeds,
): Promise<ProgramArrays[]> {
  const { onDevice, ofHost } = await parted(parameters);
  const sent = { ...onDevice, ...(await shared.of(ofHost)) };
  const common = prepare === undefined ? sent : await executor.make(prepare, sent);
  const batches: ProgramArrays[] = [];
  for (const feed of feeds) batches.push({ ...common, ...(await shared.of(feedsOf(feed))) });
  return batches;
}

async function populationCalls(task: PopulationTask, shared: SharedFeeds): Promise<PopulationResult[]> {
  const { plan, programs, calls, collect } = task;
  const batches = await batchesOf(task, shared);
  const sum = collect && new DeviceSums(executor, vectors, collect, { sum: collect.into });
  const results: PopulationResult[] = [];
  for (let call = 0; call < calls.length; call++) {
    const z: ProgramArrays =
      programs === undefined ? {} : { z: await drawnNormals.of(programs, calls, call) };
    const feeds = batches.map((batch) => ({ ...batch, ...z }));
    const weights = collect?.weights[call] as Float32Array;
    results.push(sum ? await collected(plan, feeds, weights, sum) : await onBatches(plan, feeds));
  }
  sum?.finish();
  return results;
}

export const population = (task: PopulationTask): Promise<PopulationResult[]> =>
  givingBack(async () => {
    const shared = new SharedFeeds(task.plan);
    try {
      const results = await populationCalls(task, shared);
      const buffers = results.flatMap(({ gradients }) => gradients.map(({ buffer }) => buffer));
      return moved(results, buffers);
    } finally {
      shared.dispose();
    }
  });

export const weigh = (task: WeighTask): ReturnType<typeof drawnNormals.weigh> => drawnNormals.weigh(task);

async function scoreCalls(task: ScoreTask, shared: SharedFeeds): Promise<Float64Array | undefined> {
  const { programs, calls, scores, first, second, sigma, keep } = task;
  const sums = new DeviceSums(executor, vectors, scores, keep);
  const { onDevice, ofHost } = await parted(sigma);
  const common = { ...onDevice, ...(await shared.of(ofHost)) };
  let totals: Float64Array | undefined;
  for (let call = 0; call < calls.length; call++) {
    const z = await drawnNormals.of(programs, calls, call);
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

/**
 * Scores that `keep` names stay; those of σ that it does not name come back, added up in float64 and in the
 * order of the calls.
 */
export const score = (task: ScoreTask): Promise<Float64Array | undefined> =>
  givingBack(async () => {
    const shared = new SharedFeeds(task.scores.begin);
    try {
      return await scoreCalls(task, shared);
    } finally {
      shared.dispose();
    }
  });

export const compute = ({ plan, feeds, keep }: ComputeTask): Promise<Outputs> =>
  givingBack(async () => {
    const into: Record<string, DeviceArray> = {};
    for (const [name, { length }] of Object.entries(keep)) into[name] = await vectors.allocate(length);
    const { onDevice, ofHost } = await parted(feeds);
    const outputs = await executor.write(plan, { ...onDevice, ...ofHost }, into);
    for (const [name, vector] of Object.entries(keep)) vectors.keep(vector, into[name] as DeviceArray);
    return Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, values.slice()]));
  });

export const upload = ({ vector, data }: { vector: KeptVector; data: Float32Array }): Promise<void> =>
  vectors.put(vector, unshared(data));
export const read = (vector: KeptVector): Promise<Float32Array> => vectors.read(vector);
export const drop = (dropped: readonly KeptVector[]): void => vectors.drop(dropped);

export const normals = ({ keys, first, second, start, count }: NormalsTask): WeightedSums =>
  accumulateNormals(keys, first, second, start, count);

export const project = ({ key, vector }: ProjectionTask): number => projectNormals(key, vector);
