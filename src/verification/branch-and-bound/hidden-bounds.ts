/**
 * Bounds of what all ReLUs and smooth activations read, over one box and layer by layer: intervals first,
 * then back-substitution of the neurons that intervals leave unstable (of all, before smooth activations),
 * with CROWN's lines or, with `iterations`, with α optimised for each neuron and each side by itself. Each
 * layer's bounds are used in those of the next. When the time is over the bounds found so far, of looser
 * kinds for the rest, are returned: they hold all the same.
 */
import { type FloatType, type HostData, input } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type Network, type NetworkNode, parameterInputs } from '../../network/network.js';
import { intervalNode } from '../../relaxation/interval.js';
import { isNonlinear } from '../../relaxation/linear/nonlinear.js';
import type { Bounds } from '../../relaxation/relaxation.js';
import type { MemoryBudget } from '../../runtime/device/memory.js';
import type { Feeds } from '../../runtime/execution/session.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { inLanes } from '../../runtime/pool/lanes.js';
import type { HiddenSlopes } from '../proof/trace.js';
import { dualOf } from './dual-program.js';
import { type Ends, type Engine, type Floats, floats, type HiddenBounds } from './engine.js';
import { nodeArray, nonlinearBefore } from './relu-lines.js';
import { magnitudes, soundInterval } from './rounding-error.js';
import { type UnstableRelus, unstableRelus } from './unstable.js';

/** A box and what is known of the ReLUs in it, as programs read them. */
export function regionFeeds(box: Ends, hidden: HiddenBounds, relus: Iterable<number> = hidden.keys()): Feeds {
  const feeds: Record<string, Floats> = { 'box:lower': box.lower, 'box:upper': box.upper };
  for (const node of relus) {
    const ends = hidden.get(node) as Ends;
    feeds[nodeArray('lower', node)] = ends.lower;
    feeds[nodeArray('upper', node)] = ends.upper;
  }
  return feeds;
}

/** Intervals of what one node reads from the bounds of the ReLUs and activations before it. */
function intervalPlan(net: Network, node: number, dtype: FloatType): Plan {
  const parameters = parameterInputs(net, dtype);
  const target = (net.nodes[node] as NetworkNode).inputs[0] as number;
  const given = (what: string, features: number) => input(what, [features, 1], dtype);
  const box = {
    lower: given('box:lower', featuresOf(net.input)),
    upper: given('box:upper', featuresOf(net.input)),
  };
  const read = (nonlinear: number): Bounds => {
    const bound = (side: keyof Bounds) =>
      given(nodeArray(side, nonlinear), featuresOf((net.nodes[nonlinear] as NetworkNode).layer.input));
    return { lower: bound('lower'), upper: bound('upper') };
  };
  const known = new Map<number, Bounds>([[INPUT, box]]);
  for (const before of nonlinearBefore(net, target))
    known.set((net.nodes[before] as NetworkNode).inputs[0] as number, read(before));
  const sizes = magnitudes(net, parameters, box, read);
  const step = (of: number): Bounds => {
    const from = (net.nodes[of] as NetworkNode).inputs.map(at);
    return dtype === 'float64'
      ? soundInterval(net, parameters, of, from, sizes)
      : intervalNode(net, parameters, of, from);
  };
  const at = (of: number): Bounds => {
    const found = known.get(of) ?? step(of);
    known.set(of, found);
    return found;
  };
  // A target that feeds an earlier ReLU too is known already.
  const { lower, upper } = at(target);
  return createPlan([{ kind: 'whole', outputs: { lower, upper } }]);
}

/** Whether intervals of a node are exact: on its way from the input one layer at most mixes features. */
function intervalsAreExact({ nodes }: Network, node: number): boolean {
  let mixing = 0;
  for (let at = node; at !== INPUT; ) {
    const { layer, inputs } = nodes[at] as NetworkNode;
    if (layer.kind !== 'affine' || inputs.length !== 1) return false;
    if (layer.separable !== true && layer.name !== 'selection') mixing++;
    at = inputs[0] as number;
  }
  return mixing <= 1;
}

/** Floats that the widest array of a program may hold: what a processor's cache keeps. */
const WIDEST = 1 << 19;
/**
 * Such arrays that a program over a device's memory has at once: 33 were counted, and other programs are open
 * beside it.
 */
const ALIVE = 64;
/** And those that its longest array is as long as. */
const LONGEST = 4;
/**
 * Columns of a program over a network: as many as the widest activation allows, a power of two from 8 to 512;
 * on a device to 2048.
 */
export function columnsFor(net: Network, budget?: Pick<MemoryBudget, 'memory' | 'array'>): number {
  const widest = Math.max(featuresOf(net.input), ...net.nodes.map(({ layer }) => featuresOf(layer.output)));
  const floats = budget === undefined ? WIDEST : Math.min(budget.memory / ALIVE, budget.array / LONGEST) / 4;
  return 2 ** Math.max(3, Math.min(budget === undefined ? 9 : 11, Math.floor(Math.log2(floats / widest))));
}
/** Those of an engine's programs. */
export const columnsOf = ({ network, columns }: Pick<Engine, 'network' | 'columns'>): number =>
  columns ?? columnsFor(network);

export interface HiddenBoundingOptions {
  /** Steps of ascent in α. */
  readonly iterations: number;
  readonly known?: HiddenBounds;
  /** The node whose known ends are new: what does not read it stays as it is known. */
  readonly changed?: number;
  /** Takes the α that each bound was found with, by the ReLU or activation that reads the values. */
  readonly slopes?: Map<number, HiddenSlopes>;
}

export interface HiddenBounding {
  /** Bounds over `box`, intersected with those that are known already. */
  bound(box: Ends, options: HiddenBoundingOptions): Promise<HiddenBounds>;
}

/** α of unstable neurons in 255ths, from column j of a program's outputs. */
function alphaOf(
  { count, node, row }: UnstableRelus,
  outputs: Readonly<Record<string, HostData>>,
  columns: number,
  j: number,
): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => {
    const p = outputs[nodeArray('p', node[i] as number)] as Floats;
    return Math.round(255 * (p[(row[i] as number) * columns + j] as number));
  });
}

/** Programs for the hidden bounds of one network, made when first needed. */
export function createHiddenBounding(engine: Engine): HiddenBounding {
  const { network: net } = engine;
  const nonlinear = net.nodes.flatMap(({ layer }, k) => (isNonlinear(layer) ? [k] : []));
  const most = columnsOf(engine);

  async function refine(
    node: number,
    box: Ends,
    hidden: HiddenBounds,
    ends: Ends,
    { iterations, slopes }: HiddenBoundingOptions,
  ): Promise<void> {
    const target = (net.nodes[node] as NetworkNode).inputs[0] as number;
    const before = nonlinearBefore(net, target);
    if (before.length === 0 && intervalsAreExact(net, target)) return;
    const smooth = (net.nodes[node] as NetworkNode).layer.kind === 'activation';
    const open: number[] = [];
    ends.lower.forEach((l, i) => {
      const u = ends.upper[i] as number;
      if (smooth ? l < u : l < 0 && u > 0) open.push(i);
    });
    const unstable = unstableRelus(engine, net, hidden, before);
    const sides = open.flatMap((neuron) => [
      { neuron, side: 1 },
      { neuron, side: -1 },
    ]);
    const rows = new Map<number, Uint8Array>();
    if (iterations > 0) slopes?.set(node, { neurons: unstable, rows });
    const keep = iterations > 0 && slopes !== undefined;
    const pieces: (typeof sides)[] = [];
    for (let from = 0; from < sides.length; from += most) pieces.push(sides.slice(from, from + most));
    await inLanes(engine, pieces, async (piece) => {
      const columns = piece.length > most / 8 ? most : Math.max(8, most / 8);
      const dual = dualOf(engine, {
        target,
        columns,
        iterations,
        start: 'neurons',
        unstable: unstable.capacity,
        ...(keep && { keep }),
      });
      const at = (j: number) => piece[Math.min(j, piece.length - 1)] as (typeof piece)[number];
      const outputs = await engine.run(dual, {
        ...regionFeeds(box, hidden, before),
        ...unstable.feeds,
        neuron: Int32Array.from({ length: columns }, (_, j) => at(j).neuron),
        side: floats(engine, columns).map((_, j) => at(j).side),
        threshold: floats(engine, columns),
      });
      piece.forEach(({ neuron, side }, j) => {
        const value = (outputs.bound as Floats)[j] as number;
        if (!Number.isFinite(value)) return; // arithmetic overflowed
        if (keep) rows.set(2 * neuron + (side > 0 ? 0 : 1), alphaOf(unstable, outputs, columns, j));
        if (side > 0) ends.lower[neuron] = Math.max(ends.lower[neuron] as number, value);
        else ends.upper[neuron] = Math.min(ends.upper[neuron] as number, -value);
      });
    });
  }

  return {
    async bound(box, options) {
      const hidden = new Map<number, Ends>();
      for (const node of nonlinear) {
        const old = options.known?.get(node);
        const before = nonlinearBefore(net, (net.nodes[node] as NetworkNode).inputs[0] as number);
        if (old !== undefined && options.changed !== undefined && !before.includes(options.changed)) {
          hidden.set(node, old);
          continue;
        }
        const step = engine.plan(`interval ${node}`, () => intervalPlan(net, node, engine.dtype));
        const { lower, upper } = (await engine.run(
          step,
          regionFeeds(box, hidden, before),
        )) as unknown as Ends;
        const ends: Ends = {
          lower: lower.map((l, i) => Math.max(l, old?.lower[i] ?? Number.NEGATIVE_INFINITY)),
          upper: upper.map((u, i) => Math.min(u, old?.upper[i] ?? Number.POSITIVE_INFINITY)),
        };
        await refine(node, box, hidden, ends, options);
        hidden.set(node, ends);
      }
      return hidden;
    },
  };
}
