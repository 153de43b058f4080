/**
 * One instance of the verification competition: two files and a limit in, an answer out, never an
 * exception.
 */
import type { NamedModel } from '../experiment/query-task.js';
import { readVerification, verifyTask } from '../experiment/verification-task.js';
import { readVnnlib } from '../formats/vnnlib.js';
import type { DeviceChoice } from '../runtime/device/device.js';
import type { Model } from '../runtime/execution/model.js';
import { chooseDevice } from '../runtime/survey/devices.js';

/** An instance that is to be decided. Plain data. */
export interface Instance {
  /** ONNX files, with the names of their networks where the property has several. */
  readonly models: readonly NamedModel[];
  /** Path of the VNN-LIB file. */
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

/** The competition lists models of networks that are equal to others, too. */
async function neededOf(models: readonly NamedModel[], vnnlib: string): Promise<readonly NamedModel[]> {
  const { networks = [] } = models.length > 1 ? await readVnnlib(vnnlib) : {};
  const equal = networks.filter(({ equivalence }) => equivalence?.kind === 'equal-to');
  return models.filter(({ name }) => !equal.some((network) => network.name === name));
}

/**
 * Decides an instance with workers of its own, so that nothing is left of it.
 * @throws the reason of `signal` only
 */
export async function decideInstance(
  { models, vnnlib, limit, sound }: Instance,
  { threads, device, signal }: { threads?: number; device?: DeviceChoice; signal?: AbortSignal } = {},
): Promise<InstanceAnswer> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  let model: Model | undefined;
  try {
    const task = await readVerification(await neededOf(models, vnnlib), vnnlib, { signal });
    model = task.model;
    const timeoutSeconds = Math.max(1e-3, limit - seconds());
    const chosen = device && (await chooseDevice(device));
    const { verdict, stage, subproblems, lowerBound } = await verifyTask(task, {
      ...{ threads, sound, timeoutSeconds, signal },
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
