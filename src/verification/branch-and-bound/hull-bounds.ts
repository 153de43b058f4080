/**
 * Bounds of what ReLUs read, by sides of the hulls of the ReLUs before them (`hull.ts`), layer by layer: each
 * neuron with sides that are chosen for it alone, or for a few of them where the time is short.
 */
import type { NetworkNode } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import { inLanes } from '../../runtime/pool/lanes.js';
import { type DualShape, dualOf } from './dual-program.js';
import { type Ends, type Engine, type Floats, floats, type HiddenBounds } from './engine.js';
import { regionFeeds } from './hidden-bounds.js';
import { choiceFeeds, HALF, hulledNeurons, sharedFeeds } from './hull-choice.js';
import { type Multipliers, multiplierFeeds, type Outputs, type Segment, segmentsOf } from './part-arrays.js';
import { nonlinearBefore } from './relu-lines.js';
import { unstableRelus } from './unstable.js';

export interface HullBoundsRegion {
  readonly box: Ends;
  readonly hidden: HiddenBounds;
  /** By ReLU node: the node whose outputs its neurons read, or the input (`hullNodes`). */
  readonly from: Readonly<Record<number, number>>;
  /** Seconds that are left for it. */
  readonly secondsLeft: () => number;
  /** Neurons that share their sides (default: one, or as many as the time asks for). */
  readonly together?: number;
}

/** Steps of ascent in sides, α and θ: 120 narrow the gaps by 6 % more. */
const STEPS = 40;
/** Neurons that may share their sides: the fewer, the better. */
const TOGETHER = [1, 2, 4];
const MOST_TOGETHER = 4;

/** Bounds of all open neurons that read ReLUs with sides, intersected with those that are known. */
export async function hullBounds(engine: Engine, region: HullBoundsRegion): Promise<HiddenBounds> {
  const { secondsLeft } = region;
  const hidden = new Map(region.hidden);
  const relus = [...hidden.keys()].filter((node) => engine.network.nodes[node]?.layer.kind === 'relu');
  for (const [at, node] of relus.entries()) {
    if (engine.expired() || secondsLeft() <= 0) break;
    const layer = await layerOf(engine, { ...region, hidden }, node);
    if (layer) hidden.set(node, await boundLayer(engine, layer, secondsLeft() / (relus.length - at)));
  }
  return hidden;
}

/** One layer: its open neurons, and what they are bounded with. */
interface Layer {
  readonly region: HullBoundsRegion;
  /** Of the ReLU that reads the neurons. */
  readonly known: Ends;
  /** The widest triangles first. */
  readonly open: readonly number[];
  readonly segments: readonly Segment[];
  readonly shape: Omit<DualShape, 'columns'>;
  /** What all neurons share. */
  readonly feeds: Feeds;
  /** α and θ at first. */
  readonly middle: Multipliers;
}

async function layerOf(engine: Engine, region: HullBoundsRegion, node: number): Promise<Layer | undefined> {
  const { network: net } = engine;
  const { box, hidden } = region;
  const target = (net.nodes[node] as NetworkNode).inputs[0] as number;
  const before = nonlinearBefore(net, target);
  const from = Object.fromEntries(Object.entries(region.from).filter(([k]) => before.includes(Number(k))));
  const known = hidden.get(node) as Ends;
  const gap = known.lower.map((l, i) => triangle(l, known.upper[i] as number));
  const open = [...gap.keys()]
    .filter((i) => (gap[i] as number) > 0)
    .sort((a, b) => (gap[b] as number) - (gap[a] as number));
  if (Object.keys(from).length === 0 || open.length === 0) return undefined;
  const unstable = unstableRelus(engine, net, hidden, before);
  const neurons = await hulledNeurons(engine, from, unstable);
  return {
    ...{ region, known, open, segments: segmentsOf(unstable) },
    shape: {
      ...{ target, iterations: STEPS, start: 'neurons', warm: true, byColumn: true },
      ...{ unstable: unstable.capacity, hulls: from, choosesHulls: true },
    },
    feeds: {
      ...regionFeeds(box, hidden, before),
      ...unstable.feeds,
      ...sharedFeeds(choiceFeeds(engine, region, neurons, 2 * MOST_TOGETHER)),
    },
    middle: { decisions: [], beta: [], alpha: new Uint8Array(unstable.count).fill(HALF) },
  };
}

/** Area of the triangle over [l, u], half of it; 0 where the sign is known. */
const triangle = (l: number, u: number): number => (l < 0 && u > 0 ? (-l * u) / (u - l) : 0);

/** Bounds of the layer's open neurons, of so many together that the time suffices. */
async function boundLayer(engine: Engine, layer: Layer, seconds: number): Promise<Ends> {
  const ends = { lower: layer.known.lower.slice(), upper: layer.known.upper.slice() };
  const started = performance.now();
  const left = () => seconds - (performance.now() - started) / 1000;
  const lanes = { threads: engine.threads, expired: () => engine.expired() || left() <= 0 };
  const bound = (neurons: readonly number[], together: number) => {
    const bounds = bounderOf(engine, layer, together);
    return inLanes(lanes, groupsOf(neurons, together), async (group) => {
      const found = await bounds(group);
      group.forEach((neuron, j) => {
        ends.lower[neuron] = Math.max(ends.lower[neuron] as number, found.lower[j] as number);
        ends.upper[neuron] = Math.min(ends.upper[neuron] as number, found.upper[j] as number);
      });
    });
  };
  // A thread's first call compiles, its second one tells the pace.
  const [once, twice] = [engine.threads, 2 * engine.threads];
  await bound(layer.open.slice(0, once), 1);
  const before = left();
  await bound(layer.open.slice(once, twice), 1);
  const rest = layer.open.slice(twice);
  const needed = ((before - left()) * rest.length) / engine.threads;
  const fewest = TOGETHER.find((count) => needed / count <= left()) ?? MOST_TOGETHER;
  await bound(rest, layer.region.together ?? fewest);
  return ends;
}

const groupsOf = (neurons: readonly number[], size: number): number[][] =>
  Array.from({ length: Math.ceil(neurons.length / size) }, (_, i) => neurons.slice(i * size, (i + 1) * size));

/** Bounds of up to so many neurons with sides of their own, two columns a neuron. */
function bounderOf(
  engine: Engine,
  { shape, segments, ...layer }: Layer,
  together: number,
): (group: readonly number[]) => Promise<Ends> {
  const columns = 2 * together;
  const plan = dualOf(engine, { ...shape, columns });
  const fixed = {
    ...{ ...layer.feeds, ...multiplierFeeds(engine, segments, columns, Array(columns).fill(layer.middle)) },
    side: floats(engine, columns).map((_, j) => (j % 2 === 0 ? 1 : -1)),
    // No bound is enough.
    threshold: floats(engine, columns).fill(1e30),
  };
  return async (group) => {
    const at = (j: number) => group[Math.min(j >> 1, group.length - 1)] as number;
    const neuron = Int32Array.from({ length: columns }, (_, j) => at(j));
    const { bound } = (await engine.run(plan, { ...fixed, neuron })) as Outputs;
    const values = (bound as Floats).map((value) =>
      Number.isFinite(value) ? value : Number.NEGATIVE_INFINITY,
    );
    return {
      lower: values.filter((_, j) => j % 2 === 0),
      upper: values.filter((_, j) => j % 2 === 1).map((value) => -value),
    };
  };
}
