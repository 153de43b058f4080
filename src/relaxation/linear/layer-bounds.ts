/**
 * Bounds of what every ReLU and smooth activation reads, layer by layer, by the rule of a relaxation: by rows
 * over receptive fields where they apply, densely elsewhere.
 */
import {
  type FloatType,
  greater,
  input,
  maximum,
  minimum,
  mul,
  neg,
  type Tensor,
  where,
} from '../../graph/index.js';
import { featuresOf, type Layer } from '../../network/layers/layer.js';
import { INPUT, isChain, type Network, type NetworkNode } from '../../network/network.js';
import type { Stage } from '../../runtime/plan/plan.js';
import { intervalNode } from '../interval.js';
import type { BoundProblem, Bounds } from '../relaxation.js';
import { boundNode } from './back-substitution.js';
import { isNonlinear } from './nonlinear.js';
import { rowStages } from './row-bounds.js';
import { linesOf, type RowRule } from './row-rule.js';
import { cheapNames } from './row-target.js';
import { chainProblem, type SelectedChain, selectedChain } from './selected-chain.js';

export interface LayerBounds {
  readonly stages: Stage[];
  /** Bounds of what an activation reads. */
  before(node: number): Bounds;
  /** Bounds of a node's output. */
  at(node: number): Bounds;
}

type Side = keyof Bounds;

/**
 * Whether a node's neurons can be bounded row by row over receptive fields: in chains of convolutions, linear
 * layers and ReLUs, and from a convolution only through convolutions with a ReLU between each two of them.
 * Where a window leaves a layer, its coefficients mean nothing until that ReLU's slopes, zero there, take
 * them away.
 */
export const rowsApply = (net: Network, node: number): boolean => {
  const layers = net.nodes.slice(0, node + 1).map(({ layer }) => layer);
  const target = layers.at(-1) as Layer;
  const known = layers.every(
    (layer) =>
      layer.kind === 'relu' ||
      (layer.kind === 'affine' && (layer.name === 'linear' || layer.window !== undefined)),
  );
  if (!isChain(net) || !known || target.kind !== 'affine') return false;
  const alternate = layers.every(
    (layer, k) => layer.kind !== 'affine' || (layer.window !== undefined && layers[k - 1]?.kind !== 'affine'),
  );
  return target.window === undefined || alternate;
};

/** Whether CROWN bounds a node row by row: in a chain, or in one behind a selection of the input. */
export function crownRowsApply(net: Network, node: number): boolean {
  if (node === INPUT) return false;
  if (rowsApply(net, node)) return true;
  const chain = selectedChain(net, node);
  return chain !== undefined && rowsApply(chain.network, chain.path.length - 1);
}

/** Neurons of a layer up to which it is bounded densely without more time and memory than it is worth. */
export const DENSE_NEURONS = 1024;

/**
 * Whether intervals bound a wide node as well as anything: each of its features is a multiple of one that a
 * ReLU or activation gives, or of one that is bounded row by row.
 */
export function intervalsSuffice(net: Network, node: number): boolean {
  const { layer, inputs } = net.nodes[node] as NetworkNode;
  if (layer.kind !== 'affine' || layer.separable !== true || featuresOf(layer.output) <= DENSE_NEURONS)
    return false;
  const [from = INPUT] = inputs;
  return from === INPUT || isNonlinear((net.nodes[from] as NetworkNode).layer) || crownRowsApply(net, from);
}

const isUnstable = ({ lower, upper }: Bounds): Tensor => greater(neg(mul(lower, upper)), 0);

const intersected = (a: Bounds, b: Bounds): Bounds => ({
  lower: maximum(a.lower, b.lower),
  upper: minimum(a.upper, b.upper),
});

/** The bounds of a problem's layers while they are found. */
class Layers {
  readonly stages: Stage[] = [];
  readonly #problem: BoundProblem;
  readonly #rule: RowRule;
  readonly #all: boolean;
  /**
   * Within the stage under construction: bounds of every node so far; replaced by stored arrays at each
   * boundary.
   */
  readonly #known = new Map<number, Bounds>();
  /** Nodes with an activation somewhere before them: intervals are not exact there. */
  readonly #behind = new Set<number>();

  constructor(problem: BoundProblem, rule: RowRule, all: boolean) {
    this.#problem = problem;
    this.#rule = rule;
    this.#all = all;
    const { nodes } = problem.network;
    const read = new Set(
      nodes.filter(({ layer }) => isNonlinear(layer)).map(({ inputs }) => inputs[0] as number),
    );
    // Their intervals are as good as those of what they are multiples of.
    if (rule.selects)
      for (const node of [...read])
        if (node !== INPUT && intervalsSuffice(problem.network, node)) {
          const [from = INPUT] = (nodes[node] as NetworkNode).inputs;
          if (from !== INPUT && !isNonlinear((nodes[from] as NetworkNode).layer)) read.add(from);
        }
    for (const node of nodes.keys()) this.#bound(node, read.has(node));
  }

  at(node: number): Bounds {
    return node === INPUT ? this.#problem.box : (this.#known.get(node) as Bounds);
  }

  before(node: number): Bounds {
    return this.at((this.#problem.network.nodes[node] as NetworkNode).inputs[0] as number);
  }

  #bound(node: number, isRead: boolean): void {
    const { network: net, parameters } = this.#problem;
    const { layer, inputs } = net.nodes[node] as NetworkNode;
    // Zonotopes know what branches have in common where they join.
    const bends = isNonlinear(layer) || (this.#rule.straight && layer.kind === 'join');
    if (bends || inputs.some((from) => this.#behind.has(from))) this.#behind.add(node);
    const ofInputs = inputs.map((from) => this.at(from));
    this.#known.set(node, intervalNode(net, parameters, node, ofInputs));
    if (!isRead) return;
    if (!this.#behind.has(node)) this.#store(node, this.at(node));
    else if (rowsApply(net, node)) this.#byRows(node);
    else if (this.#rule.selects && crownRowsApply(net, node)) this.#behindSelection(node);
    else if (this.#rule.selects && intervalsSuffice(net, node)) this.#store(node, this.at(node));
    else this.#densely(node);
    this.#known.set(node, this.#stored(node));
  }

  #name(node: number, side: Side, what = 'bounds'): string {
    return `${this.#rule.name} ${what}:${node}:${side}`;
  }

  #named(node: number, lower: string, upper: string): Bounds {
    const { network: net, box } = this.#problem;
    const shape = [featuresOf((net.nodes[node] as NetworkNode).layer.output), box.lower.shape[1] as number];
    const dtype = box.lower.dtype as FloatType;
    return { lower: input(lower, shape, dtype), upper: input(upper, shape, dtype) };
  }

  /** Bounds that an earlier stage left under their names. */
  #stored(node: number): Bounds {
    return this.#named(node, this.#name(node, 'lower'), this.#name(node, 'upper'));
  }

  #store(node: number, { lower, upper }: Bounds): void {
    const outputs = { [this.#name(node, 'lower')]: lower, [this.#name(node, 'upper')]: upper };
    this.stages.push({ kind: 'whole', outputs });
  }

  #byRows(node: number): void {
    const rule = this.#rule;
    const what = rule.nested ? 'row bounds' : 'bounds';
    const refined = { lower: this.#name(node, 'lower', what), upper: this.#name(node, 'upper', what) };
    const at = (k: number) => this.at(k);
    const target = { problem: this.#problem, node, rule, at, cheap: at(node), refined, all: this.#all };
    this.stages.push(...rowStages(target));
    if (!rule.nested) return;
    const cheap = cheapNames(target);
    const found = this.#named(node, refined.lower, refined.upper);
    this.#store(node, intersected(found, this.#named(node, cheap.lower, cheap.upper)));
  }

  /** By rows that end at a selection of the input. */
  #behindSelection(node: number): void {
    const chain = selectedChain(this.#problem.network, node) as SelectedChain;
    const { path, from } = chain;
    const box = this.at(from);
    const target = {
      problem: chainProblem(this.#problem, chain, box),
      node: path.length - 1,
      // Names of several chains' arrays.
      rule: { ...this.#rule, name: `${this.#rule.name} ${node}` },
      at: (k: number) => (k === INPUT ? box : this.at(path[k] as number)),
      cheap: this.at(node),
      refined: { lower: this.#name(node, 'lower'), upper: this.#name(node, 'upper') },
      all: this.#all,
    };
    this.stages.push(...rowStages(target));
  }

  #densely(node: number): void {
    const { network: net } = this.#problem;
    const cheap = this.at(node);
    const at = (k: number) => this.at(k);
    const lines = (k: number) => linesOf(net, k, this.before(k), this.#rule);
    const tight = boundNode(this.#problem, node, lines, this.#rule.nested ? at : undefined);
    const feedsSmooth = net.nodes.some(
      ({ layer, inputs }) => layer.kind === 'activation' && inputs[0] === node,
    );
    // Lines of smooth activations may be above f(u) or below f(l), so that intervals are the better ones at
    // times.
    if (this.#rule.nested || (feedsSmooth && !this.#rule.straight)) {
      this.#store(node, intersected(tight, cheap));
      return;
    }
    const unstable = isUnstable(cheap);
    const choose = (side: Side) => (this.#all ? tight[side] : where(unstable, tight[side], cheap[side]));
    this.#store(node, { lower: choose('lower'), upper: choose('upper') });
  }
}

/**
 * Stages for the bounds of what every ReLU and smooth activation reads, and those bounds in the graph that
 * follows them. Rows are for neurons that intervals from the bounds before leave unstable, or for all.
 */
export function layerBounds(problem: BoundProblem, rule: RowRule, all = false): LayerBounds {
  const layers = new Layers(problem, rule, all);
  return { stages: layers.stages, before: (node) => layers.before(node), at: (node) => layers.at(node) };
}
