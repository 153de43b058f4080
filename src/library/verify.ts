/** Verification as one call: a network and a property in, a proof or a counterexample out. */
import { asFile, type TrainedNetwork, trainedNetwork } from '../experiment/trained-network.js';
import { openModelFile, readVerification, verifyTask } from '../experiment/verification-task.js';
import { readVnnlib } from '../formats/vnnlib.js';
import { featuresOf } from '../network/layers/layer.js';
import { propertyOf } from '../verification/property/from-vnnlib.js';
import type { Property } from '../verification/property/property.js';
import { robustnessProperty } from '../verification/property/robustness.js';
import {
  type VerifyOptions as SearchOptions,
  verify as search,
  type Verification,
} from '../verification/search/verify.js';
import type { Model } from './read-network.js';

/** What may be said of a verification; all of it has a default. */
export type VerifyOptions = Omit<
  SearchOptions,
  'network' | 'parameters' | 'property' | 'plans' | 'boundsFirst'
>;

/**
 * Decides whether some input of the property's boxes leads to an unsafe output: attack → IBP → CROWN →
 * α-CROWN → branch and bound.
 *
 * `unsat` is a proof for the real-number function of the weights. `sat` comes with a counterexample; where
 * the network was read from a file, ONNX Runtime running that very file confirms it.
 *
 * @param network a path (ONNX file or run), a run, or a network with its parameters
 * @param property a path (VNN-LIB file), or a property such as `robustness(…)`
 * @throws UsageError for what cannot be read; RangeError for a property of other sizes than the network
 * @example
 * ```js
 * import { architecture, initialize, keyOf, robustness, verify } from 'tautnet';
 *
 * const network = architecture('fc-small', [1, 2, 2], 3);
 * const parameters = initialize(network, 'kaiming', keyOf(0));
 * const property = robustness(network, Float32Array.of(0.1, 0.9, 0.4, 0.5), 0, { epsilon: 0.01 });
 * const { verdict, stage } = await verify({ network, parameters }, property, { timeoutSeconds: 60 });
 * console.log(verdict, stage);
 * ```
 */
export async function verify(
  network: Model | TrainedNetwork | string,
  property: Property | string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const limits = {
    ...{ most: options.memoryBytes, signal: options.signal, fromFile: options.sound },
    // Traces are of the file's own neurons.
    distinct: options.traced === undefined,
  };
  if (typeof network === 'string' && typeof property === 'string') {
    const task = await readVerification(network, property, limits);
    return verifyTask(task, options).finally(() => task.model.close());
  }
  const model: Model & Partial<TrainedNetwork> =
    typeof network === 'string'
      ? await trainedNetwork(network, limits)
      : options.sound
        ? await asFile(network)
        : network;
  const wanted = typeof property === 'string' ? propertyOf(await readVnnlib(property, limits)) : property;
  const { parameters, exact, double } = model;
  const problem = { exact, double, ...options, network: model.network, parameters, property: wanted };
  if (options.evaluate !== undefined || model.file === undefined) return search(problem);
  const file = await openModelFile(model.file, model.network, limits);
  try {
    return await search({ ...problem, evaluate: (x) => file.run(x) });
  } finally {
    await file.close();
  }
}

/** The ball of `robustness`. */
export interface RobustnessOptions {
  /** Radius of ‖x' − x‖∞ ≤ ε, in the units of the input. */
  readonly epsilon: number;
  /** Cut the ball to [0, 1] (default true). */
  readonly clip?: boolean;
}

/**
 * The property that no input of the ball around `image` is given another label: unsafe are the polytopes
 * f_y − f_j ≤ 0, j ≠ y.
 *
 * @param image [features], pixels of [0, 1]
 * @throws RangeError for an image of another size than the network's input, or a label that is no class
 * @example
 * ```js
 * import { architecture, robustness } from 'tautnet';
 *
 * const network = architecture('fc-small', [1, 2, 2], 3);
 * const { polytopes } = robustness(network, new Float32Array(4), 0, { epsilon: 0.1 });
 * console.log(polytopes.length); // 2: the two other classes
 * ```
 */
export function robustness(
  network: Model['network'],
  image: Float32Array,
  label: number,
  { epsilon, clip = true }: RobustnessOptions,
): Property {
  const features = featuresOf(network.input);
  if (image.length !== features)
    throw new RangeError(`robustness: expected an image of ${features} values, got ${image.length}`);
  if (!Number.isInteger(label) || label < 0 || label >= network.classes)
    throw new RangeError(`robustness: expected a label from 0 to ${network.classes - 1}, got ${label}`);
  return robustnessProperty(image, label, { epsilon, clip }, network.classes);
}
