/** Networks and properties from files. */
import { type TrainedNetwork, trainedNetwork } from '../experiment/trained-network.js';
import { readVnnlib } from '../formats/vnnlib.js';
import type { Network } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import { propertyOf } from '../verification/property/from-vnnlib.js';
import type { Property } from '../verification/property/property.js';

/** A network with its parameters: what can be bounded, verified and certified. */
export interface Model {
  readonly network: Network;
  readonly parameters: ParameterArrays;
}

/**
 * Reads an ONNX file (`.onnx`, `.onnx.gz`), anybody's as long as its operators are among those that are read,
 * or the network of a finished run.
 *
 * @throws UsageError if nothing is there, or an operator cannot be read, which it names
 * @example
 * ```js
 * import { writeFile } from 'node:fs/promises';
 * import { architecture, exportOnnx, initialize, keyOf, readNetwork } from 'tautnet';
 *
 * const network = architecture('fc-small', [1, 2, 2], 3);
 * await writeFile('small.onnx', exportOnnx(network, initialize(network, 'kaiming', keyOf(0))));
 * const model = await readNetwork('small.onnx');
 * console.log(model.network.classes); // 3
 * ```
 */
export const readNetwork = (path: string): Promise<TrainedNetwork> => trainedNetwork(path);

/**
 * Reads a VNN-LIB file of one network with one input and one output, plain or gzip-compressed, as boxes of
 * inputs with unsafe polytopes of outputs.
 *
 * @throws FileError if it cannot be read; FormatError "file:line:column: …" if it is not VNN-LIB
 * @example
 * ```js
 * import { writeFile } from 'node:fs/promises';
 * import { readProperty } from 'tautnet';
 *
 * await writeFile('above.vnnlib', `
 * (declare-const X_0 Real) (declare-const Y_0 Real)
 * (assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= Y_0 2))`);
 * const { inputs, polytopes } = await readProperty('above.vnnlib');
 * console.log(inputs, polytopes.length); // 1 1
 * ```
 */
export const readProperty = async (path: string): Promise<Property> => propertyOf(await readVnnlib(path));
