/**
 * Choice of the sides of hulls (`hull.ts`) for one box: v = m∘w, m ∈ [0, 1] a share for each weight, raised
 * together with all α and θ until the bounds of the goals are greatest, or those of some parts of the box.
 * All of them share the sides.
 */
import { equalRows, input, mul } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type Network, type NetworkNode, parameterInputs, weightsOf } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import { MOST_CHOOSING } from '../../runtime/kernels/margin-chain.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { inSharedMemory } from '../../runtime/shared-memory.js';
import { dualOf } from './dual-program.js';
import {
  above,
  type Ends,
  type Engine,
  type Floats,
  floats,
  type Goal,
  type HiddenBounds,
} from './engine.js';
import { regionFeeds } from './hidden-bounds.js';
import { sideFeeds, tapsToChoose } from './hull-taps.js';
import { type Multipliers, multiplierFeeds, multipliersAt, type Outputs, segmentsOf } from './part-arrays.js';
import { nodeArray } from './relu-lines.js';
import { type UnstableRelus, unstableRelus } from './unstable.js';

/** Sides of the hulls of one box, as programs read them. */
export interface Hulls {
  /** By ReLU node: the node whose outputs its neurons read, or the input. */
  readonly from: Readonly<Record<number, number>>;
  /** `hull:k`, `hull least:k`, `hull reach:k`, and the same for the margin kernel (`sideFeeds`). */
  readonly feeds: Feeds;
  /** α, θ and β that each part was bounded with. */
  readonly parts: readonly Pick<Multipliers, 'alpha' | 'beta'>[];
  /** Lower bounds of the parts' rows, less their thresholds. */
  readonly bounds: readonly number[];
}

/** What is to be shown on a box, and what is known there. */
export interface HullRegion {
  readonly box: Ends;
  readonly hidden: HiddenBounds;
  readonly goals: readonly Goal[];
  /** The parts of the box that sides are chosen for (default: the whole box for each goal). */
  readonly parts?: readonly HullPart[];
  /** Sides that the ascent begins at (default: m = ½). */
  readonly known?: Hulls;
}

/** A part and the number of its goal. */
export interface HullPart extends Multipliers {
  readonly goal: number;
}

/** Steps of ascent of the first sides, 40 raise the bounds by 1 % more; and of those for parts. */
const STEPS = { first: 25, later: 20 };
/** Numbers of all sides, at most: 64 MiB, of which their ascent holds a few. */
const MOST_NUMBERS = 1 << 24;
/** What float32 may lose of s and r. */
const ROUNDING = 1e-6;
/** α and θ at first, in 255ths. */
export const HALF = 128;

/** A ReLU that may have sides. */
interface HullNode {
  readonly node: number;
  /** The node whose outputs its neurons read, or the input. */
  readonly source: number;
  /** Numbers of its sides. */
  readonly numbers: number;
}

type Sized = Pick<UnstableRelus, 'capacity'>;

/** ReLUs behind a convolution or linear layer that reads the input or a ReLU. */
const candidates = (
  { network: { input: extents, nodes } }: Pick<Engine, 'network'>,
  { capacity }: Sized,
): HullNode[] =>
  nodes.flatMap(({ layer, inputs: [before] }, node) => {
    const read = nodes[before as number];
    if (layer.kind !== 'relu' || read?.layer.kind !== 'affine') return [];
    if (read.layer.window === undefined && read.layer.name !== 'linear') return [];
    const source = read.inputs[0] as number;
    if (source !== INPUT && nodes[source]?.layer.kind !== 'relu') return [];
    const width = featuresOf(source === INPUT ? extents : read.layer.input);
    return [{ node, source, numbers: width * (capacity[node] ?? Number.POSITIVE_INFINITY) }];
  });

/** Whether a ReLU reads a convolution. */
export function readsWindow(nodes: Network['nodes'], relu: number): boolean {
  const layer = nodes[nodes[relu]?.inputs[0] as number]?.layer;
  return layer?.kind === 'affine' && layer.window !== undefined;
}

/** Those that have sides: the smallest, while all fit. */
function sided(engine: Pick<Engine, 'network'>, unstable: Sized): HullNode[] {
  const ordered = candidates(engine, unstable).sort((a, b) => a.numbers - b.numbers);
  let left = MOST_NUMBERS;
  const tooMany = ordered.findIndex(({ numbers }) => {
    left -= numbers;
    return left < 0;
  });
  return tooMany < 0 ? ordered : ordered.slice(0, tooMany);
}

/** The ReLUs that have sides, by node what their neurons read. */
export const hullNodes = (engine: Pick<Engine, 'network'>, unstable: Sized): Record<number, number> =>
  Object.fromEntries(sided(engine, unstable).map(({ node, source }) => [node, source]));

/** Numbers of all their sides. */
export const hullNumbers = (engine: Pick<Engine, 'network'>, unstable: Sized): number =>
  sided(engine, unstable).reduce((sum, { numbers }) => sum + numbers, 0);

/** Chooses sides for all parts together. */
export async function chooseHulls(engine: Engine, region: HullRegion): Promise<Hulls> {
  const { network: net } = engine;
  const { box, hidden, goals, known } = region;
  const unstable = unstableRelus(engine, net, hidden);
  const parts = region.parts ?? wholeBox(goals, unstable);
  const from = hullNodes(engine, unstable);
  const neurons = await hulledNeurons(engine, from, unstable);
  const columns = Math.max(8, 2 ** Math.ceil(Math.log2(parts.length)));
  const rows = floats(engine, net.classes * columns);
  parts.forEach(({ goal }, j) => {
    (goals[goal] as Goal).coefficients.forEach((c, k) => {
      rows[k * columns + j] = c;
    });
  });
  const segments = segmentsOf(unstable);
  const plan = dualOf(engine, {
    ...{ target: net.nodes.length - 1, columns, iterations: known ? STEPS.later : STEPS.first },
    ...{ start: 'rows', warm: true, decisions: true, byColumn: true, keep: true },
    ...{ unstable: unstable.capacity, hulls: from, choosesHulls: true },
  });
  const outputs = (await engine.run(plan, {
    ...regionFeeds(box, hidden),
    ...unstable.feeds,
    ...multiplierFeeds(engine, segments, columns, parts),
    rows,
    // No bound is enough: better sides are better for all parts.
    threshold: floats(engine, columns).fill(1e30),
    ...choiceFeeds(engine, region, neurons, columns, known?.feeds),
  })) as Outputs;
  return {
    ...{ from, feeds: sharedFeeds(chosenSides(engine, region, from, neurons, outputs)) },
    parts: parts.map(({ decisions }, j) => multipliersAt(segments, outputs, j, decisions)),
    bounds: parts.map(({ goal }, j) => above((outputs.bound as Floats)[j] as number, goals[goal] as Goal)),
  };
}

/** What many calls read: messages to workers carry no copies. */
export const sharedFeeds = (feeds: Readonly<Record<string, Floats | Int32Array>>): Feeds =>
  Object.fromEntries(Object.entries(feeds).map(([name, data]) => [name, inSharedMemory(data)]));

/** The neurons that have sides, by their ReLU node. */
export async function hulledNeurons(
  engine: Engine,
  from: Readonly<Record<number, number>>,
  { feeds }: Pick<UnstableRelus, 'feeds'>,
): Promise<Map<number, Neurons>> {
  const neurons = new Map<number, Neurons>();
  for (const k of Object.keys(from).map(Number))
    neurons.set(k, await neuronsOf(engine, k, feeds[nodeArray('index', k)] as Int32Array));
  return neurons;
}

/**
 * What the choice of sides in so many columns reads of them, in programs and, where those are few, in the
 * margin kernel: their weights, and the shares of those that it begins at.
 */
export function choiceFeeds(
  engine: Engine,
  { hidden }: Pick<HullRegion, 'hidden'>,
  neurons: ReadonlyMap<number, Neurons>,
  columns: number,
  known?: Feeds,
): Record<string, Floats | Int32Array> {
  const feeds: Record<string, Floats | Int32Array> = {};
  for (const [k, { weights, index }] of neurons) {
    const shares = sharesOf(engine, weights, known?.[nodeArray('hull', k)] as Floats);
    Object.assign(feeds, { [`hull weights:${k}`]: weights, [`hull shares:${k}`]: shares });
    if (columns > MOST_CHOOSING) continue;
    const spans = spansOf(hidden.get(k) as Ends, index);
    Object.assign(feeds, tapsToChoose(engine, k, { index, shares, ...spans }));
  }
  return feeds;
}

/** l and u − l of each row's neuron. */
function spansOf({ lower, upper }: Ends, index: Int32Array) {
  const lowers = Float64Array.from(index, (i) => lower[i] as number);
  return { lower: lowers, width: lowers.map((l, row) => (upper[index[row] as number] as number) - l) };
}

/** The sides that a choice came to, as programs and the margin kernel read them. */
function chosenSides(
  engine: Engine,
  { box, hidden }: Pick<HullRegion, 'box' | 'hidden'>,
  from: Readonly<Record<number, number>>,
  neurons: ReadonlyMap<number, Neurons>,
  outputs: Outputs,
): Record<string, Floats> {
  const feeds: Record<string, Floats> = {};
  for (const [k, { weights, bias, index }] of neurons) {
    const { lower, width } = spansOf(hidden.get(k) as Ends, index);
    const source = from[k] as number;
    const read = source === INPUT ? box : afterRelu(hidden.get(source) as Ends);
    const v = outputs[nodeArray('hull', k)] as Floats;
    const exact = sidesOf(v, weights, bias, width, read);
    const [least, reach] = [floats(engine, index.length), floats(engine, index.length)];
    least.set(exact.least);
    reach.set(exact.reach);
    const sides = { index, v, least, reach, lower, width };
    Object.assign(feeds, sideFeeds(engine, k, sides), {
      [nodeArray('hull', k)]: v,
      [`hull least:${k}`]: least,
      [`hull reach:${k}`]: reach,
    });
  }
  return feeds;
}

const wholeBox = (goals: readonly Goal[], { count }: UnstableRelus): HullPart[] =>
  goals.map((_, goal) => ({ goal, decisions: [], beta: [], alpha: new Uint8Array(count).fill(HALF) }));

/** m of v = m∘w, ½ where there is none yet. */
function sharesOf(engine: Engine, weights: Floats, v: Floats | undefined): Floats {
  const shares = floats(engine, weights.length).fill(0.5);
  if (v !== undefined)
    for (let i = 0; i < shares.length; i++) {
      const w = weights[i] as number;
      if (w !== 0) shares[i] = Math.min(Math.max((v[i] as number) / w, 0), 1);
    }
  return shares;
}

/** Neurons of a ReLU node: weights [inputs, rows] and biases [rows, 1] of what they read. */
export interface Neurons {
  readonly weights: Floats;
  readonly bias: Floats;
  /** The neuron of each row. */
  readonly index: Int32Array;
}

/** The neurons `index` of a ReLU node behind an affine layer. */
export async function neuronsOf(engine: Engine, node: number, index: Int32Array): Promise<Neurons> {
  const { network: net, dtype } = engine;
  const before = (net.nodes[node] as NetworkNode).inputs[0] as number;
  const { layer } = net.nodes[before] as NetworkNode;
  if (layer.kind !== 'affine') throw new TypeError(`hulls: expected an affine layer, got ${layer.kind}`);
  const plan = engine.plan(`hull neurons ${node} ${index.length}`, () => {
    const given = weightsOf(net, before, parameterInputs(net, dtype));
    const rows = equalRows(input('index', [index.length], 'int32'), featuresOf(layer.output), dtype);
    const bias = layer.bias(given, dtype);
    const outputs = { weights: layer.adjoint(given, rows), ...(bias && { bias: mul(bias, 1) }) };
    return createPlan([{ kind: 'whole', outputs }]);
  });
  const { weights, bias } = await engine.run(plan, { index });
  return {
    weights: weights as Floats,
    bias: floats(engine, index.length).map((_, row) => Number(bias?.[index[row] as number] ?? 0)),
    index,
  };
}

const afterRelu = ({ lower, upper }: Ends): Ends => ({
  lower: lower.map((l) => Math.max(l, 0)),
  upper: upper.map((u) => Math.max(u, 0)),
});

/**
 * s and (s + r)/(u − l) of sides v, both [inputs, rows] with the weights w, for x in a box: s rounded down,
 * r up.
 * @param widths u − l of each row's neuron
 */
export function sidesOf(
  v: Floats,
  w: Floats,
  bias: Floats,
  widths: Float64Array,
  { lower, upper }: Ends,
): { readonly least: Float64Array; readonly reach: Float64Array } {
  const count = widths.length;
  const least = new Float64Array(count);
  const greatest = Float64Array.from(bias);
  for (let i = 0; i < lower.length; i++) {
    const [l, u] = [lower[i] as number, upper[i] as number];
    for (let row = 0; row < count; row++) {
      const side = v[i * count + row] as number;
      const rest = (w[i * count + row] as number) - side;
      least[row] = (least[row] as number) + side * (side > 0 ? l : u);
      greatest[row] = (greatest[row] as number) + rest * (rest > 0 ? u : l);
    }
  }
  const reach = greatest.map((r, row) => {
    const s = least[row] as number;
    return (s + r + ROUNDING * (Math.abs(s) + Math.abs(r))) / (widths[row] as number);
  });
  return { least: least.map((s) => s - ROUNDING * Math.abs(s)), reach };
}
