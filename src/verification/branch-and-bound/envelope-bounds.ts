/**
 * Bounds of what ReLUs read behind two convolutions of a box, by envelopes of the first one's ReLUs
 * (`envelope.ts`): where α-CROWN has the triangles' bounds, these are within 5 % of the exact ones.
 */

import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type NetworkNode } from '../../network/network.js';
import type { Ends, Engine, Floats, HiddenBounds } from './engine.js';
import { type BoxRelu, boxRelu, Envelope, type EnvelopeRow } from './envelope.js';
import { type Neurons, neuronsOf, readsWindow } from './hull-choice.js';

/** Numbers of the first convolution's weights as a matrix, at most. */
const MOST_NUMBERS = 1 << 24;

export interface EnvelopeRegion {
  readonly box: Ends;
  readonly hidden: HiddenBounds;
  /** By ReLU node: the node whose outputs its neurons read, or the input (`hullNodes`). */
  readonly from: Readonly<Record<number, number>>;
  /** Whether there is no time for more. */
  readonly over?: () => boolean;
}

/**
 * Bounds of one node's unstable neurons intersected with those that are known: of the first node behind two
 * convolutions.
 * @returns the node and its bounds; undefined where there is none
 */
export async function envelopeBounds(
  engine: Engine,
  { box, hidden, from, over = () => engine.expired() }: EnvelopeRegion,
): Promise<{ readonly node: number; readonly ends: Ends } | undefined> {
  const { nodes } = engine.network;
  const node = Object.keys(from)
    .map(Number)
    .find(
      (k) =>
        from[from[k] as number] === INPUT && [k, from[k] as number].every((relu) => readsWindow(nodes, relu)),
    );
  if (node === undefined) return undefined;
  const first = from[node] as number;
  const features = featuresOf((nodes[first] as NetworkNode).layer.output);
  if (features * box.lower.length > MOST_NUMBERS) return undefined;

  const known = hidden.get(node) as Ends;
  const open = Int32Array.from(known.lower.keys()).filter((i) => straddles(known, i));
  const relus = relusOf(
    await neuronsOf(
      engine,
      first,
      Int32Array.from({ length: features }, (_, k) => k),
    ),
    box,
  );
  const rows = rowsOf(await neuronsOf(engine, node, open), features);
  const envelope = new Envelope(box, relus);
  const ends = { lower: known.lower.slice(), upper: known.upper.slice() };
  for (const [at, row] of rows.entries()) {
    if (over()) break;
    const i = open[at] as number;
    ends.lower[i] = Math.max(ends.lower[i] as number, finite(envelope.least(row)));
    ends.upper[i] = Math.min(ends.upper[i] as number, -finite(envelope.least(negated(row))));
  }
  return { node, ends };
}

/** Where arithmetic overflowed there is no bound. */
const finite = (bound: number): number => (Number.isFinite(bound) ? bound : Number.NEGATIVE_INFINITY);

const straddles = ({ lower, upper }: Ends, i: number): boolean =>
  (lower[i] as number) < 0 && (upper[i] as number) > 0;

/** Column j of weights [inputs, columns]. */
const column = (weights: Floats, inputs: number, columns: number, j: number): Float64Array =>
  Float64Array.from({ length: inputs }, (_, i) => weights[i * columns + j] as number);

const relusOf = ({ weights, bias, index }: Neurons, box: Ends): BoxRelu[] =>
  Array.from(index, (_, k) =>
    boxRelu(column(weights, box.lower.length, index.length, k), bias[k] as number, box),
  );

function rowsOf({ weights, bias, index: neurons }: Neurons, features: number): EnvelopeRow[] {
  return Array.from(neurons, (_, j) => {
    const all = column(weights, features, neurons.length, j);
    const index = [...all.keys()].filter((k) => all[k] !== 0);
    return { index, coefficients: index.map((k) => all[k] as number), base: bias[j] as number };
  });
}

const negated = ({ index, coefficients, base }: EnvelopeRow): EnvelopeRow => ({
  ...{ index, base: -base },
  coefficients: coefficients.map((c) => -c),
});
