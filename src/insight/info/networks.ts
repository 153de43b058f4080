/** What networks are, and which relaxations bound them. */

import { quoted } from '../../experiment/run/summary.js';
import { FormatError } from '../../formats/format-error.js';
import type { Network } from '../../network/network.js';
import { importOnnx } from '../../network/onnx/import.js';
import { parameterCount, parameterLayout } from '../../network/parameters.js';
import { relaxations } from '../../relaxation/index.js';
import { counted, type Description } from './description.js';

type Facts = Description['facts'];

/** "2 convolution, 2 relu, 1 linear". */
function layersOf({ nodes }: Network): string {
  const kinds = nodes.map(({ layer }) => (layer.kind === 'activation' ? layer.function : layer.kind));
  return [...new Set(kinds)].map((kind) => `${kinds.filter((k) => k === kind).length} ${kind}`).join(', ');
}

export const networkFacts = (network: Network): Facts => [
  ['input', network.input.join(' × ')],
  ['outputs', String(network.classes)],
  ['layers', layersOf(network)],
  ['parameters', counted(parameterCount(parameterLayout(network)))],
];

/** Relaxations that take a network's activations. */
export function boundsOf({ nodes }: Network): string {
  const smooth = [
    ...new Set(nodes.flatMap(({ layer }) => (layer.kind === 'activation' ? [layer.function] : []))),
  ];
  const solvers = ['lp', 'exact'];
  const names = Object.keys(relaxations).filter((name) => smooth.length === 0 || !solvers.includes(name));
  const why = smooth.length === 0 ? '' : `; ${solvers.join(' and ')} do not take ${smooth.join(', ')}`;
  return `every output, by ${names.join(', ')}${why}`;
}

/** An ONNX file; one that cannot be read as a network is described all the same. */
export function describeOnnx(path: string, bytes: Uint8Array): Omit<Description, 'path' | 'bytes'> {
  const kind = 'ONNX network';
  try {
    const { network, double, metadata } = importOnnx(bytes, path);
    const about = Object.entries(metadata).map(([name, value]) => [name, value] as const);
    return {
      kind,
      facts: [...networkFacts(network), ['precision', double ? 'float64' : 'float32'], ...about],
      bounds: boundsOf(network),
      next: [
        `tautnet verify ${quoted(path)} <property.vnnlib>`,
        `tautnet certify ${quoted(path)} --dataset ${metadata.dataset ?? '<name>'} ` +
          `--epsilon ${metadata.epsilon ?? '<number>'}`,
      ],
    };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { kind, facts: [], bounds: `nothing: ${error.message.replace(`${path}: `, '')}`, next: [] };
  }
}
