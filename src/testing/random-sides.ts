/** Sides of hulls (`branch-and-bound/hull.ts`) that nobody has chosen: every one of them is valid. */
import { evaluate, input } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { INPUT, type NetworkNode, parameterInputs, weightsOf } from '../network/network.js';
import { hullNodes, sidesOf } from '../verification/branch-and-bound/hull-choice.js';
import { sideFeeds } from '../verification/branch-and-bound/hull-taps.js';
import { nodeArray } from '../verification/branch-and-bound/relu-lines.js';
import { runStages } from './bound-programs.js';
import { type DualCase, relusOf } from './dual-cases.js';
import { normalNumbers, uniformNumbers } from './numbers.js';

/**
 * Sides of every neuron of the networks' hulls: any v at all, any on the taps of a neuron, or shares of its
 * weights. Only the last two are for the kernel, too.
 */
export async function randomSides(
  of: DualCase,
  seed: number,
  which: 'any' | 'taps' | 'shares',
): Promise<Record<string, Float64Array>> {
  const { net, region } = of;
  const feeds: Record<string, Float64Array> = {};
  const capacity = Object.fromEntries(
    relusOf(net).map((k) => [k, featuresOf((net.nodes[k] as NetworkNode).layer.input)]),
  );
  for (const [key, from] of Object.entries(hullNodes({ network: net }, { capacity }))) {
    const k = Number(key);
    const before = net.nodes[k]?.inputs[0] as number;
    const layer = net.nodes[before]?.layer;
    if (layer?.kind !== 'affine') throw new Error('expected an affine layer');
    const rows = featuresOf(layer.output);
    const identity = Float64Array.from({ length: rows * rows }, (_, at) => (at % (rows + 1) === 0 ? 1 : 0));
    const given = weightsOf(net, before, parameterInputs(net, 'float64'));
    const bias = layer.bias(given, 'float64');
    const outputs = { weights: layer.adjoint(given, input('identity', [rows, rows], 'float64')) };
    const [made] = await runStages([{ kind: 'whole', outputs }], [{ ...region, identity }]);
    const w = made?.outputs.weights as Float64Array;
    const [offset] = bias ? evaluate([bias], region) : [new Float64Array(rows)];
    const draws =
      which !== 'shares'
        ? normalNumbers(`v ${k} ${seed}`, w.length)
        : uniformNumbers(`m ${k} ${seed}`, w.length);
    const v = draws.map((draw, i) => {
      const weight = w[i] as number;
      if (which === 'shares') return draw * weight;
      return which === 'any' || weight !== 0 ? draw : 0;
    });
    const [lower, upper] = (['lower', 'upper'] as const).map((side) => {
      const ends = region[from === INPUT ? `box:${side}` : nodeArray(side, from)] as Float64Array;
      return from === INPUT ? ends : ends.map((end) => Math.max(end, 0));
    }) as [Float64Array, Float64Array];
    const ends = (side: 'lower' | 'upper') => region[nodeArray(side, k)] as Float64Array;
    const lowers = ends('lower');
    const widths = ends('upper').map((u, i) => Math.max(u - (lowers[i] as number), 1e-30));
    const { least, reach } = sidesOf(v, w, offset as Float64Array, widths, { lower, upper });
    const index = Int32Array.from(widths.keys());
    const sides = { index, v, least, reach, lower: lowers, width: widths };
    const forKernel = which === 'any' ? {} : sideFeeds({ network: net, dtype: 'float64' }, k, sides);
    Object.assign(feeds, forKernel, {
      [`hull:${k}`]: v,
      [`hull least:${k}`]: least,
      [`hull reach:${k}`]: reach,
    });
  }
  return feeds;
}
