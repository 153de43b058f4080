/**
 * One instance of the verification competition: two files and a limit in, an answer out, never an
 * exception.
 */
import { readVerificationTask } from '../experiment/verification-task.js';
import type { DeviceChoice } from '../runtime/device/device.js';
import { chooseDevice } from '../runtime/survey/devices.js';
import { verify } from '../verification/search/verify.js';

/** An instance that is to be decided. Plain data. */
export interface Instance {
  /** Paths of the ONNX and the VNN-LIB file. */
  readonly onnx: string;
  readonly vnnlib: string;
  /** Seconds, which count reading the files. */
  readonly limit: number;
  /** Proofs in float64 less a bound of their rounding errors. */
  readonly sound?: boolean;
}

/** An instance for a worker. */
export interface InstanceWork extends Instance {
  readonly kind: 'instance';
  readonly id: string;
  readonly threads: number;
  readonly device?: DeviceChoice;
}

/** What became of an instance. */
export interface InstanceAnswer {
  /** That of `verify`, or "error: …". */
  readonly verdict: string;
  readonly stage: string | null;
  readonly subproblems: number;
  readonly lowerBound?: number;
  readonly seconds: number;
}

/**
 * Decides an instance with workers of its own, so that nothing is left of it.
 * @throws the reason of `signal` only
 */
export async function decideInstance(
  { onnx, vnnlib, limit, sound }: Instance,
  { threads, device, signal }: { threads?: number; device?: DeviceChoice; signal?: AbortSignal } = {},
): Promise<InstanceAnswer> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  let model: Awaited<ReturnType<typeof readVerificationTask>>['model'] | undefined;
  try {
    const task = await readVerificationTask(onnx, vnnlib, { signal });
    const opened = task.model;
    model = opened;
    const timeoutSeconds = Math.max(1e-3, limit - seconds());
    const evaluate = (x: Float32Array) => opened.run(x);
    const chosen = device && (await chooseDevice(device));
    const { verdict, stage, subproblems, lowerBound } = await verify({
      ...{ ...task, threads, sound, timeoutSeconds, evaluate, signal },
      ...(chosen && { device: chosen }),
    });
    const bound = lowerBound === undefined ? {} : { lowerBound };
    return { verdict, stage, subproblems, ...bound, seconds: seconds() };
  } catch (error) {
    if (signal?.aborted) throw error;
    const line = error instanceof Error ? error.message.split('\n')[0] : error;
    return { verdict: `error: ${line}`, stage: null, subproblems: 0, seconds: seconds() };
  } finally {
    await model?.close();
  }
}
