/**
 * A network cut in two, the extractor and the classifier behind it, for methods that treat them differently.
 */
import { chain, isChain, type Network, type Parameters, parameterName } from '../network/network.js';

export interface Blocks {
  readonly extractor: Network;
  readonly classifier: Network;
  /** The classifier's parameters by its own names; the extractor's keep theirs. */
  readonly classifierParameters: (parameters: Parameters) => Parameters;
}

/** How many ReLU layers a network has. */
export const reluCount = ({ nodes }: Network): number =>
  nodes.filter(({ layer }) => layer.kind === 'relu').length;

/**
 * Cuts behind a ReLU such that the classifier has `relus` ReLU layers: it begins with the affine layer before
 * the first of them.
 * @throws RangeError for a network that is no chain, or that has no ReLU left for the extractor
 */
export function splitBlocks(net: Network, relus: number): Blocks {
  const available = reluCount(net);
  if (!isChain(net))
    throw new RangeError(
      `blocks: expected a network whose layers follow one another, got ${net.name}, which branches`,
    );
  if (!Number.isInteger(relus) || relus < 0 || relus >= available)
    throw new RangeError(
      `blocks: expected a classifier with fewer than the ${available} ReLU layers of ${net.name}, got ` +
        `${relus}`,
    );
  const places = net.nodes.flatMap(({ layer }, i) => (layer.kind === 'relu' ? [i] : []));
  const cut = (places[available - relus - 1] as number) + 1;
  const layers = net.nodes.map(({ layer }) => layer);
  const classifier = chain(`${net.name} classifier`, layers[cut - 1]?.output ?? net.input, layers.slice(cut));
  return {
    extractor: chain(`${net.name} extractor`, net.input, layers.slice(0, cut)),
    classifier,
    classifierParameters: (parameters) =>
      Object.fromEntries(
        classifier.nodes.flatMap(({ layer }, i) =>
          layer.parameters.map(
            ({ name }) => [parameterName(i, name), parameters[parameterName(i + cut, name)]] as const,
          ),
        ),
      ) as Parameters,
  };
}
