/**
 * The row kernel's form of a node's bounds: its chain of layers, and the arrays that the kernel reads, from
 * the graph.
 *
 * Slopes and the box are laid out image by image, [batch, features]. The slope α below has no derivative
 * (`slopes.ts`), so the kernel computes none.
 */
import { add, type FloatType, mul, sub, type Tensor, transpose } from '../../graph/index.js';
import { inputName, isInput } from '../../graph/operators/leaves.js';
import { type AffineLayer, type Extents, featuresOf, type Weights } from '../../network/layers/layer.js';
import { type Network, type NetworkNode, weightsOf } from '../../network/network.js';
import {
  encodeChain,
  type KernelChain,
  type KernelRegion,
  type KernelStep,
  MOST_COEFFICIENTS,
} from '../../runtime/kernels/row-chain.js';
import { hasRowKernel } from '../../runtime/kernels/row-kernel.js';
import type { RowKernelStage } from '../../runtime/plan/plan.js';
import type { Bounds } from '../relaxation.js';
import { places, type Region, regionBehind, regionSize, startRegion } from './region.js';
import type { RowTarget } from './row-target.js';

/** A region as the kernel reads it; the whole layer is a window that does not move. */
function kernelRegion({ extents, window }: Region): KernelRegion {
  const [channels, height, width] = extents;
  const { kernel, stride, padding } = window ?? { kernel: [height, width], stride: [0, 0], padding: [0, 0] };
  return { channels, window: kernel, layer: [height, width], stride, padding };
}

/** A vector of features without places, as a linear layer reads and gives it. */
const flat = (extents: Extents): KernelRegion =>
  kernelRegion({ extents: [featuresOf(extents), 1, 1], grid: [1, 1], window: undefined });

function affineStep(region: Region, behind: Region, layer: AffineLayer): KernelStep {
  const { window } = layer;
  if (window === undefined)
    return {
      kind: 'affine',
      region: flat(layer.output),
      behind: flat(layer.input),
      kernel: [1, 1],
      stride: [1, 1],
      padding: [0, 0],
    };
  return {
    kind: 'affine',
    region: kernelRegion(region),
    behind: kernelRegion(behind),
    kernel: window.kernel,
    stride: window.stride,
    // A window's own padding moves where it begins; a whole layer begins at its first pixel.
    padding: behind.window === undefined ? window.padding : [0, 0],
  };
}

/** Whether the rows of a node are small enough for the kernel: what is larger runs in programs. */
export function rowsFit({ nodes }: Network, node: number): boolean {
  const layer = nodes[node]?.layer as AffineLayer;
  let region = startRegion(layer);
  let total = regionSize(region);
  for (const { layer: passed } of nodes.slice(0, node).toReversed()) {
    if (passed.kind !== 'affine') continue;
    region = regionBehind(region, passed);
    total += regionSize(region);
  }
  return total <= MOST_COEFFICIENTS;
}

/** Positions of the arrays that a chain reads, asked for in the order of the chain. */
export interface ChainArrays {
  affine(node: number): Pick<KernelChain, 'weight' | 'bias'>;
  relu(node: number): readonly (number | undefined)[];
}

/** The chain of the rows of a node, from there to the input. */
export function rowChain(net: Network, node: number, batch: number, arrays: ChainArrays): KernelChain {
  const layer = net.nodes[node]?.layer as AffineLayer;
  const start = arrays.affine(node);
  let region = startRegion(layer);
  const { grid } = region;
  const channels = featuresOf(layer.output) / places(region);
  const steps: KernelChain['steps'][number][] = [];
  for (let k = node - 1; k >= 0; k--) {
    const { layer: passed } = net.nodes[k] as NetworkNode;
    if (passed.kind === 'relu')
      steps.push({ step: { kind: 'relu', region: kernelRegion(region) }, arrays: arrays.relu(k) });
    else if (passed.kind === 'affine') {
      const behind = regionBehind(region, passed);
      const { weight, bias } = arrays.affine(k);
      steps.push({ step: affineStep(region, behind, passed), arrays: [weight, bias] });
      region = behind;
    }
  }
  return { batch, channels, grid, ...start, input: kernelRegion(region), steps };
}

/** Arrays of a kernel's chain: those that are no inputs of the graph are computed before. */
class KernelArrays {
  readonly names: string[] = [];
  readonly constants: string[] = [];
  readonly prepared: Record<string, Tensor> = {};
  readonly #prefix: string;

  constructor({ rule, node }: RowTarget) {
    this.#prefix = `${rule.name} kernel:${node}`;
  }

  /** Position of an array. An input keeps its name. */
  add(what: string, node: number, value: Tensor, isConstant = false): number {
    const name = isInput(value) ? inputName(value) : `${this.#prefix}:${what}:${node}`;
    if (!isInput(value)) this.prepared[name] = value;
    if (isConstant) this.constants.push(name);
    return this.names.push(name) - 1;
  }

  affine(node: number, { weight, bias }: Weights, reach: boolean) {
    return {
      weight: this.add('weight', node, weight as Tensor),
      bias: bias === undefined || reach ? undefined : this.add('bias', node, bias),
    };
  }

  relu({ rule, node, at }: RowTarget, k: number): readonly (number | undefined)[] {
    const { lower, upper, intercept } = rule.slopes(at(k - 1));
    const [all, below] = [rule.constant === 'all', rule.constant !== undefined];
    const above = this.add('slope above', k, transpose(upper), all);
    const slope = rule.straight ? above : this.add('slope below', k, transpose(lower), below);
    const slopes = [slope, above, this.add('intercept', k, transpose(intercept), all)];
    if (!rule.nested || k === node - 1) return slopes;
    const box = at(k);
    return [...slopes, ...this.box('output', k, box)];
  }

  box(what: string, node: number, { lower, upper }: Bounds): [centre: number, radius: number] {
    return [
      this.add(`${what} centre`, node, transpose(mul(add(lower, upper), 0.5))),
      this.add(`${what} radius`, node, transpose(mul(sub(upper, lower), 0.5))),
    ];
  }
}

/**
 * What the row kernel needs to do what the programs of `row-bounds.ts` do, under the same names; undefined
 * where it was not built or rows are too large for it.
 */
export function kernelRows(
  target: RowTarget,
  cheapNames: Readonly<Record<keyof Bounds, string>>,
): Pick<RowKernelStage, 'rows' | 'prepared'> | undefined {
  const { problem, node, rule, cheap, refined, all } = target;
  const { network: net, parameters, box } = problem;
  const layer = net.nodes[node]?.layer as AffineLayer;
  if (!hasRowKernel() || !rowsFit(net, node)) return undefined;
  const batch = box.lower.shape[1] as number;
  const arrays = new KernelArrays(target);
  const chain = rowChain(net, node, batch, {
    relu: (k) => arrays.relu(target, k),
    affine: (k) => arrays.affine(k, weightsOf(net, k, parameters), rule.reach ?? false),
  });
  const centred = rule.reach
    ? { lower: mul(sub(box.lower, box.upper), 0.5), upper: mul(sub(box.upper, box.lower), 0.5) }
    : box;
  arrays.box('input', -1, centred);
  return {
    prepared: { ...arrays.prepared, [cheapNames.lower]: cheap.lower, [cheapNames.upper]: cheap.upper },
    rows: {
      cheap: cheapNames,
      refined,
      shape: [featuresOf(layer.output), batch],
      places: places(startRegion(layer)),
      dtype: box.lower.dtype as FloatType,
      all,
      chain: encodeChain(chain),
      arrays: arrays.names,
      constants: arrays.constants,
    },
  };
}
