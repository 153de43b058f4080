/** Networks that somebody drops onto the page: what it can bound, and one line for what it cannot. */
import { misfitOf } from '../../experiment/misfit.js';
import { FormatError } from '../../formats/format-error.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import { importOnnx } from '../../network/onnx/import.js';
import { type ParameterArrays, parameterCount, parameterLayout } from '../../network/parameters.js';
import { widestLayer } from '../../verification/proof/batch-size.js';
import { DIGITS } from './digits.js';
import { MOST, sizeProblem, tooLarge } from './page-limits.js';
import type { NetworkAnswer } from './questions.js';

export interface PageNetwork {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  readonly described: NetworkAnswer;
}

/**
 * Reads an ONNX file for the page. @throws FormatError, one line that begins with the file's name: no network
 * that can be read, not one for digits, in float64, not finite, or too large
 */
export function openPageNetwork(bytes: Uint8Array, name: string): PageNetwork {
  const refused = (what: string) => new FormatError(`${name}: ${what}`);
  const size = sizeProblem(name, bytes.length);
  if (size !== undefined) throw new FormatError(size);
  const { network, parameters, double, metadata } = importOnnx(bytes, name);
  const misfit = misfitOf(network, DIGITS);
  if (misfit !== undefined) throw refused(misfit);
  if (double) throw refused(`expected a float32 network, got float64; take \`tautnet certify\``);
  for (const [array, values] of Object.entries(parameters))
    if (!values.every(Number.isFinite)) throw refused(`expected finite parameters, got others in ${array}`);
  const count = parameterCount(parameterLayout(network));
  const widest = widestLayer(network);
  if (count > MOST.parameters) throw new FormatError(tooLarge(name, `${MOST.parameters} parameters`, count));
  if (widest > MOST.neurons)
    throw new FormatError(tooLarge(name, `${MOST.neurons} neurons in a layer`, widest));
  const neurons = network.nodes.reduce(
    (sum, { layer }) => sum + (layer.kind === 'relu' ? featuresOf(layer.output) : 0),
    0,
  );
  const { epsilon } = metadata;
  return { network, parameters, described: { name, parameters: count, neurons, epsilon } };
}
