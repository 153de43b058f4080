/** For tests: how far an imported network is from ONNX Runtime's own run of the file. */
import { encodeOnnx } from '../formats/onnx.js';
import { importOnnx } from '../network/onnx/import.js';
import { deriveKey, keyOf } from '../runtime/random/keys.js';
import { type Built, model } from './onnx-models.js';
import { randomImages, relativeDifference, runNetwork, runOnnx } from './onnx-runs.js';

const KEY = keyOf('onnx import');
/** Images of a symbolic batch. */
const BATCH = 3;

let drawn = 0;
/**
 * Relative difference of the imported network's outputs from ONNX Runtime's run of the same bytes on random
 * images.
 * @param input the file's input shape: [batch, …extents], or with `single` the extents of one image
 */
export async function fileDifference(
  bytes: Uint8Array,
  input: readonly (number | string)[],
  { double = false, single = false } = {},
): Promise<number> {
  const { network, parameters } = importOnnx(bytes, 'built');
  const first = typeof input[0] === 'number' ? input[0] : BATCH;
  const extents = input.slice(1) as number[];
  const x = randomImages(
    deriveKey(KEY, drawn++, 1),
    first,
    extents.reduce((a, b) => a * b, 1),
  );
  const expected = await runOnnx(bytes, x, first, extents, double ? 'float64' : 'float32');
  if (!(Math.max(...expected.map(Math.abs)) > 1e-3))
    throw new Error(`expected outputs to compare, got ${expected.slice(0, 5).join(', ')}`);
  return relativeDifference(await runNetwork(network, parameters, x, single ? 1 : first), expected);
}

/** The same for a model to be encoded. */
export const builtDifference = (built: Built, single = false): Promise<number> =>
  fileDifference(encodeOnnx(model(built)), built.input, { double: built.double ?? false, single });
