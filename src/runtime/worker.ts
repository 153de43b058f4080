/** Worker thread: runs plans and draws normals. Programs stay open from one task to the next. */
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import type { HostData } from '../graph/tensor.js';
import { createExecutor, type KeptFeeds } from './executor.js';
import { keptNormals } from './kept-normals.js';
import type { Plan } from './plan.js';
import { accumulateNormals, perturb, perturbPair, uniforms } from './random.js';
import type { Feeds, ProgramArrays, SessionOptions } from './session.js';
import type {
  NormalsTask,
  Outputs,
  PairResult,
  PairTask,
  ParameterSlice,
  PopulationResult,
  PopulationTask,
  RunResult,
  RunTask,
  TaskFeeds,
  UniformNumbers,
  WeighTask,
} from './task.js';

const executor = createExecutor(workerData as SessionOptions);
const drawnNormals = keptNormals(executor);

/** ONNX Runtime refuses shared memory. */
const unshared = <T extends HostData>(data: T): T => (data.buffer instanceof SharedArrayBuffer ? (data.slice() as T) : data);

const withParameters = (feeds: Feeds, theta: Float32Array, layout: readonly ParameterSlice[]): Feeds => ({
  ...feeds,
  ...Object.fromEntries(layout.map(({ name, offset, size }) => [name, theta.subarray(offset, offset + size)])),
});

/** A result whose arrays are moved to the caller rather than copied. */
const moved = <T extends object>(value: T, buffers: ArrayBufferLike[]): T =>
  move({ [transferableSymbol]: buffers, [valueSymbol]: value } as unknown as Parameters<typeof move>[0]) as unknown as T;

function drawn({ key, start, size }: UniformNumbers): Float32Array {
  const out = new Float32Array(size);
  uniforms(key, out, start);
  return out;
}

const feedsOf = (feeds: TaskFeeds): Feeds =>
  Object.fromEntries(Object.entries(feeds).map(([name, data]) => [name, 'key' in data ? drawn(data) : unshared(data)]));

export async function run(task: RunTask): Promise<RunResult> {
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

export async function pair({ plan, layout, perturbation, ...task }: PairTask): Promise<PairResult> {
  const feeds = task.feeds.map(feedsOf);
  const [plus, minus] = [new Float32Array(task.theta.length), new Float32Array(task.theta.length)];
  perturbPair(unshared(task.theta), perturbation.key, perturbation.sigma, plus, minus);
  const at = async (point: Float32Array) => {
    const outputs = [];
    for (const feed of feeds) outputs.push((await executor.run(plan, withParameters(feed, point, layout))).outputs);
    return outputs;
  };
  return { plus: await at(plus), minus: await at(minus) };
}

/** What a plan makes of one population on all micro-batches. */
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

export async function population({ plan, feeds, parameters, programs, calls }: PopulationTask): Promise<PopulationResult[]> {
  const kept: KeptFeeds[] = [];
  const keep = async (given: TaskFeeds): Promise<ProgramArrays> => {
    const made = await executor.keep(plan, feedsOf(given));
    kept.push(made);
    return made.feeds;
  };
  try {
    const common = await keep(parameters);
    const batches: ProgramArrays[] = [];
    for (const feed of feeds) batches.push({ ...common, ...(await keep(feed)) });
    const results: PopulationResult[] = [];
    for (let call = 0; call < calls.length; call++) {
      const z = await drawnNormals.of(programs, calls, call);
      results.push(
        await onBatches(
          plan,
          batches.map((batch) => ({ ...batch, z })),
        ),
      );
    }
    const buffers = results.flatMap(({ gradients }) => gradients.map(({ buffer }) => buffer));
    return moved(results, buffers);
  } catch (error) {
    // A device out of memory has to have it back before fewer members are tried, and WebGPU gives back what it had with the last program.
    drawnNormals.forget();
    await executor.close();
    throw error;
  } finally {
    for (const { dispose } of kept) dispose();
  }
}

export const weigh = (task: WeighTask): ReturnType<typeof drawnNormals.weigh> => drawnNormals.weigh(task);

export function normals({ keys, first, second, start, count }: NormalsTask): { first: Float64Array; second?: Float64Array } {
  return accumulateNormals(keys, first, second, start, count);
}
