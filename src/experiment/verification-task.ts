/** What `verify` is given, read and checked: a network, the model that it was read from, and a property over them. */
import { readFile } from 'node:fs/promises';
import { FileError, toFileError } from '../formats/file-error.js';
import { FormatError } from '../formats/format-error.js';
import { readVnnlib } from '../formats/vnnlib.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import { type Model, openModel } from '../runtime/model.js';
import type { Property } from '../verification/property.js';
import { propertyFor } from '../verification/property-from-vnnlib.js';
import { UsageError } from './errors.js';
import { trainedNetwork } from './trained-network.js';

export interface VerificationTask {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  readonly property: Property;
  /** The file itself in ONNX Runtime; to be closed. */
  readonly model: Model;
}

/**
 * Reads a model, an ONNX file or the folder of a finished run, and a VNN-LIB file.
 * @throws UsageError, one line, for files that are missing, not what they should be, or do not fit each other
 */
export async function readVerificationTask(modelPath: string, propertyPath: string): Promise<VerificationTask> {
  try {
    const { network, parameters, file } = await trainedNetwork(modelPath);
    const sizes = { inputs: featuresOf(network.input), outputs: network.classes };
    const property = propertyFor(await readVnnlib(propertyPath), sizes);
    const bytes = await readFile(file).catch((error: unknown) => {
      throw toFileError(file, 'read', error);
    });
    return { network, parameters, property, model: await openModel(bytes, sizes, file) };
  } catch (error) {
    if (error instanceof FormatError || error instanceof FileError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
