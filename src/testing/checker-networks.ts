/** Networks as the checker reads them, for tests: random ones, evaluated exactly. */
import fc from 'fast-check';
import type { Node } from '../../checker/onnx.js';
import { readOnnx } from '../../checker/onnx.js';
import { exportOnnx } from '../network/onnx/export.js';
import { type Dyadic, dyadic, plus, times } from './dyadic.js';
import { singleParameters } from './property-cases.js';
import { convolutionalNetworks, denseNetworks, residualNetworks } from './random-networks.js';

/** Files of random ReLU networks: dense, convolutional and residual, with and without normalisation. */
export const onnxFiles = fc
  .tuple(
    fc.oneof(denseNetworks, convolutionalNetworks({ min: 1, max: 2 }), residualNetworks),
    fc.integer({ min: 0, max: 1e6 }),
  )
  .map(([net, seed]) => ({ bytes: exportOnnx(net, singleParameters(net, seed)), extents: net.input }));

/**
 * The same as nodes, their weights spread over many orders of size; quotients are products with rounded
 * inverses there.
 */
export const exactNetworks: fc.Arbitrary<Node[]> = fc
  .tuple(onnxFiles, fc.constantFrom(0, 0, 20))
  .map(([{ bytes }, orders]) =>
    readOnnx(bytes).map((node): Node => {
      if (node.op !== 'affine') return node;
      const spread = (w: number, k: number) => w * 10 ** (orders * (((k * 7919) % 101) / 101 - 0.5));
      return { ...node, weight: node.weight.map(spread) };
    }),
  );

/** Values of all nodes at x, exactly. */
export function exactValues(nodes: readonly Node[], x: readonly Dyadic[]): Dyadic[][] {
  const zero = dyadic(0);
  const values: Dyadic[][] = [];
  for (const node of nodes) {
    const [a = [], b = []] = node.inputs.map((p) => values[p] as Dyadic[]);
    if (node.op === 'input') values.push([...x]);
    else if (node.op === 'relu') values.push(a.map((v) => (v.m > 0n ? v : zero)));
    else if (node.op === 'add') values.push(a.map((v, i) => plus(v, b[i] as Dyadic)));
    else if (node.op === 'affine') values.push(affine(node, a));
  }
  return values;
}

function affine(node: Extract<Node, { op: 'affine' }>, x: readonly Dyadic[]): Dyadic[] {
  const { size, positions, taps, first, runs, weight, bias } = node;
  return Array.from({ length: size }, (_, j) => {
    const p = j % positions;
    let sum = dyadic(bias[j] as number);
    for (let run = first[p] as number; run < (first[p + 1] as number); run++) {
      const [from, at, length] = [runs[3 * run], runs[3 * run + 1], runs[3 * run + 2]] as [
        number,
        number,
        number,
      ];
      for (let t = 0; t < length; t++) {
        const w = weight[((j - p) / positions) * taps + at + t] as number;
        sum = plus(sum, times(dyadic(w), x[from + t] as Dyadic));
      }
    }
    return sum;
  });
}
