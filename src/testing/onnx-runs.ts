/**
 * For tests: a network's logits by our own program, and an ONNX file's outputs by ONNX Runtime, on the same
 * images.
 */
import '../runtime/device/telemetry.js';
import ort from 'onnxruntime-node';
import { input, transpose } from '../graph/index.js';
import { logits, type Network, parameterInputs } from '../network/network.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { createPlan } from '../runtime/plan/compile.js';
import { fillNormals, type Key, uniforms } from '../runtime/random/keys.js';

/** Pixels in [0, 1), [batch, features]. */
export function randomImages(key: Key, batch: number, features: number): Float32Array {
  const out = new Float32Array(batch * features);
  uniforms(key, out);
  return out;
}

/** N(0, 1)·scale. */
export function randomNormals(key: Key, size: number, scale = 1): Float32Array {
  const out = new Float32Array(size);
  fillNormals(key, out);
  return out.map((z) => scale * z);
}

/** Logits [batch, classes] of images [batch, features]. */
export async function runNetwork(
  net: Network,
  parameters: Readonly<Record<string, Float32Array>>,
  x: Float32Array,
  batch: number,
): Promise<number[]> {
  const images = input('x', [batch, x.length / batch]);
  const plan = createPlan([
    { kind: 'whole', outputs: { logits: transpose(logits(net, parameterInputs(net), transpose(images))) } },
  ]);
  const executor = createExecutor();
  try {
    const { outputs } = await executor.run(plan, { ...parameters, x });
    return Array.from(outputs.logits as Float32Array);
  } finally {
    await executor.close();
  }
}

/** The first output of a file with one input; the input's shape is [batch, …extents]. */
export async function runOnnx(
  bytes: Uint8Array,
  x: Float32Array,
  batch: number,
  extents: readonly number[],
  type: 'float32' | 'float64' = 'float32',
): Promise<number[]> {
  const session = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  try {
    const data = type === 'float32' ? x : Float64Array.from(x);
    const results = await session.run({
      [session.inputNames[0] as string]: new ort.Tensor(type as 'float32', data as Float32Array, [
        batch,
        ...extents,
      ]),
    });
    return Array.from(results[session.outputNames[0] as string]?.data as Float32Array);
  } finally {
    await session.release();
  }
}

/** max |a − b| relative to 1 + the largest |b|. */
export function relativeDifference(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  const size = 1 + b.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  return a.reduce((m, v, i) => Math.max(m, Math.abs(v - (b[i] as number))), 0) / size;
}
