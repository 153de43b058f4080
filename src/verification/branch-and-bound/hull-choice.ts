/**
 * Choice of the sides of hulls (`hull.ts`) for one box: v = m∘w, m ∈ [0, 1] a share for each weight, raised
 * together with all α and θ until the bounds of the goals are greatest. All goals and all parts of the box
 * share them. Only convolutions have them: behind dense layers they gain next to nothing.
 */
import { equalRows, input, mul } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type Network, type NetworkNode, parameterInputs, weightsOf } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { dualOf } from './dual-program.js';
import { type Ends, type Engine, type Floats, floats, type Goal, type HiddenBounds } from './engine.js';
import { regionFeeds } from './hidden-bounds.js';
import { nodeArray } from './relu-lines.js';
import { type UnstableRelus, unstableRelus } from './unstable.js';

/** Sides of hulls, as programs read them. */
export interface Hulls {
  /** By ReLU node: the node whose outputs its neurons read, or the input. */
  readonly from: Readonly<Record<number, number>>;
  /** `hull:k`, `hull least:k`, `hull reach:k`. */
  readonly feeds: Feeds;
  /** α and θ of the unstable neurons that each goal was bounded with, in 255ths. */
  readonly alpha: readonly Uint8Array[];
  /** Bounds of the goals. */
  readonly bounds: readonly number[];
}

/** ReLUs behind a convolution that reads the input or a ReLU. */
export function hullNodes({ nodes }: Network): Record<number, number> {
  const from: Record<number, number> = {};
  nodes.forEach(({ layer, inputs: [before] }, k) => {
    const read = nodes[before as number];
    if (layer.kind !== 'relu' || read?.layer.kind !== 'affine' || read.layer.window === undefined) return;
    const source = read.inputs[0] as number;
    if (source === INPUT || nodes[source]?.layer.kind === 'relu') from[k] = source;
  });
  return from;
}

/** Weights of the neurons of `index:k`, [inputs, rows]. */
async function weightRows(engine: Engine, node: number, unstable: UnstableRelus): Promise<Floats> {
  const { network: net, dtype } = engine;
  const before = (net.nodes[node] as NetworkNode).inputs[0] as number;
  const { layer } = net.nodes[before] as NetworkNode;
  if (layer.kind !== 'affine') throw new TypeError(`hulls: expected an affine layer, got ${layer.kind}`);
  const count = unstable.capacity[node] as number;
  const plan = engine.plan(`hull weights ${node} ${count}`, () => {
    const rows = equalRows(input('index', [count], 'int32'), featuresOf(layer.output), dtype);
    const weights = layer.adjoint(weightsOf(net, before, parameterInputs(net, dtype)), mul(rows, 1));
    return createPlan([{ kind: 'whole', outputs: { weights } }]);
  });
  const { weights } = await engine.run(plan, {
    index: unstable.feeds[nodeArray('index', node)] as Int32Array,
  });
  return weights as Floats;
}

export async function chooseHulls(
  engine: Engine,
  box: Ends,
  hidden: HiddenBounds,
  goals: readonly Goal[],
  steps: number,
): Promise<Hulls> {
  const { network: net } = engine;
  const from = hullNodes(net);
  const nodes = Object.keys(from).map(Number);
  const unstable = unstableRelus(engine, net, hidden);
  const columns = Math.max(8, 2 ** Math.ceil(Math.log2(goals.length)));
  const rows = floats(engine, net.classes * columns);
  const threshold = floats(engine, columns).fill(1e30);
  goals.forEach(({ coefficients }, j) => {
    coefficients.forEach((c, k) => {
      rows[k * columns + j] = c;
    });
  });
  const weights = new Map<number, Floats>();
  for (const k of nodes) weights.set(k, await weightRows(engine, k, unstable));
  const outputs = await engine.run(
    dualOf(engine, {
      target: net.nodes.length - 1,
      columns,
      iterations: steps,
      start: 'rows',
      keep: true,
      unstable: unstable.capacity,
      hulls: from,
      choosesHulls: true,
    }),
    {
      ...regionFeeds(box, hidden),
      ...unstable.feeds,
      rows,
      threshold,
      ...Object.fromEntries([...weights].map(([k, w]) => [`hull weights:${k}`, w])),
    },
  );
  const feeds: Record<string, Floats> = {};
  for (const k of nodes) {
    const source = from[k] as number;
    const ends = source === INPUT ? box : reluEnds(hidden.get(source) as Ends);
    Object.assign(
      feeds,
      await sidesOf(
        engine,
        k,
        outputs[nodeArray('hull', k)] as Floats,
        weights.get(k) as Floats,
        ends,
        hidden,
        unstable,
      ),
    );
  }
  const alpha = goals.map((_, j) =>
    Uint8Array.from({ length: unstable.count }, (_, i) => {
      const p = outputs[nodeArray('p', unstable.node[i] as number)] as Floats;
      return Math.round(255 * (p[(unstable.row[i] as number) * columns + j] as number));
    }),
  );
  const bounds = goals.map(({ threshold }, j) => ((outputs.bound as Floats)[j] as number) - threshold);
  return { from, feeds, alpha, bounds };
}

const reluEnds = ({ lower, upper }: Ends): Ends => ({
  lower: lower.map((l) => Math.max(l, 0)),
  upper: upper.map((u) => Math.max(u, 0)),
});

/** s and (s + r)/(u − l) of the sides v, in float64, rounded to the side that holds. */
async function sidesOf(
  engine: Engine,
  node: number,
  v: Floats,
  weights: Floats,
  { lower, upper }: Ends,
  hidden: HiddenBounds,
  unstable: UnstableRelus,
): Promise<Record<string, Floats>> {
  const count = unstable.capacity[node] as number;
  const least = floats(engine, count);
  const reach = floats(engine, count);
  const index = unstable.feeds[nodeArray('index', node)] as Int32Array;
  const ends = hidden.get(node) as Ends;
  const bias = await biasOf(engine, node);
  for (let row = 0; row < count; row++) {
    const neuron = index[row] as number;
    let s = 0;
    let r = bias[neuron] ?? 0;
    for (let i = 0; i < lower.length; i++) {
      const [l, u] = [lower[i] as number, upper[i] as number];
      const side = v[i * count + row] as number;
      const rest = (weights[i * count + row] as number) - side;
      s += side > 0 ? side * l : side * u;
      r += rest > 0 ? rest * u : rest * l;
    }
    const width = (ends.upper[neuron] as number) - (ends.lower[neuron] as number);
    least[row] = s - 1e-6 * Math.abs(s) - 1e-30;
    reach[row] = (s + r + 1e-6 * (Math.abs(s) + Math.abs(r))) / width;
  }
  return { [nodeArray('hull', node)]: v, [`hull least:${node}`]: least, [`hull reach:${node}`]: reach };
}

/** b of the layer that a ReLU reads. */
async function biasOf(engine: Engine, node: number): Promise<Floats> {
  const { network: net, dtype } = engine;
  const before = (net.nodes[node] as NetworkNode).inputs[0] as number;
  const { layer } = net.nodes[before] as NetworkNode;
  const plan = engine.plan(`hull bias ${node}`, () => {
    const given =
      layer.kind === 'affine'
        ? layer.bias(weightsOf(net, before, parameterInputs(net, dtype)), dtype)
        : undefined;
    return createPlan([
      { kind: 'whole', outputs: { bias: mul(given ?? input('nothing', [1, 1], dtype), 1) } },
    ]);
  });
  const { bias } = await engine.run(plan, { nothing: floats(engine, 1) });
  return bias as Floats;
}
