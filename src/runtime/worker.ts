/** Worker thread: runs plans and draws normals. Programs stay open from one task to the next. */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import type { HostData } from '../graph/tensor.js';
import { createExecutor } from './executor.js';
import { accumulateNormals, perturb, perturbPair } from './random.js';
import type { Feeds } from './session.js';
import type { NormalsTask, ParameterSlice, RunResult, RunTask } from './task.js';

const executor = createExecutor();

/** ONNX Runtime refuses shared memory. */
const unshared = <T extends HostData>(data: T): T => (data.buffer instanceof SharedArrayBuffer ? (data.slice() as T) : data);

const withParameters = (feeds: Feeds, theta: Float32Array, layout: readonly ParameterSlice[]): Feeds => ({
  ...feeds,
  ...Object.fromEntries(layout.map(({ name, offset, size }) => [name, theta.subarray(offset, offset + size)])),
});

/** A result whose arrays are moved to the caller rather than copied. */
const moved = <T extends object>(value: T, buffers: ArrayBufferLike[]): T =>
  move({ [transferableSymbol]: buffers, [valueSymbol]: value } as unknown as Parameters<typeof move>[0]) as unknown as T;

export async function run(task: RunTask): Promise<RunResult> {
  const { plan, layout, perturbation } = task;
  const feeds = Object.fromEntries(Object.entries(task.feeds).map(([name, data]) => [name, unshared(data)]));
  const theta = unshared(task.theta);
  if (task.antithetic && perturbation) {
    const plus = new Float32Array(theta.length);
    const minus = new Float32Array(theta.length);
    perturbPair(theta, perturbation.key, perturbation.sigma, plus, minus);
    const outputs = [];
    for (const point of [plus, minus]) outputs.push((await executor.run(plan, withParameters(feeds, point, layout))).outputs);
    return { outputs };
  }
  const point = perturbation ? new Float32Array(theta.length) : theta;
  if (perturbation) perturb(theta, perturbation.key, perturbation.sigma, 1, point);
  const result = await executor.run(plan, withParameters(feeds, point, layout));
  if (plan.wrt.length === 0) return { outputs: [result.outputs] };
  const gradient = new Float32Array(theta.length);
  layout.forEach(({ offset }, i) => {
    gradient.set(result.gradients[i] as Float32Array, offset);
  });
  return moved({ outputs: [result.outputs], gradient }, [gradient.buffer]);
}

export function normals({ keys, first, second, start, count }: NormalsTask): { first: Float64Array; second?: Float64Array } {
  return accumulateNormals(keys, first, second, start, count);
}
