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
import { type NetworkNode, weightsOf } from '../../network/network.js';
import {
  encodeChain,
  type KernelRegion,
  type KernelStep,
  MOST_COEFFICIENTS,
} from '../../runtime/kernels/row-chain.js';
import type { Stage } from '../../runtime/plan/plan.js';
import type { BoundProblem, Bounds } from '../relaxation.js';
import { reluSlopes } from '../slopes.js';
import { places, type Region, regionBehind, regionSize, startRegion } from './region.js';

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

/** Whether the rows of a layer are small enough for the kernel: what is larger runs in programs. */
function fits(layer: AffineLayer, before: readonly NetworkNode[]): boolean {
  let region = startRegion(layer);
  let total = regionSize(region);
  for (const { layer: passed } of before.toReversed()) {
    if (passed.kind !== 'affine') continue;
    region = regionBehind(region, passed);
    total += regionSize(region);
  }
  return total <= MOST_COEFFICIENTS;
}

/**
 * Stages of the kernel that do what those of `rowStages` do with programs, under the same names; none where
 * rows are too large for it.
 */
export function kernelStages(
  { network: net, parameters, box }: BoundProblem,
  target: number,
  at: (node: number) => Bounds,
  cheap: Bounds,
  names: {
    readonly cheap: Readonly<Record<keyof Bounds, string>>;
    readonly refined: Record<keyof Bounds, string>;
  },
  all: boolean,
): Stage[] {
  const dtype = box.lower.dtype as FloatType;
  const batch = box.lower.shape[1] as number;
  const layer = net.nodes[target]?.layer as AffineLayer;
  if (!fits(layer, net.nodes.slice(0, target))) return [];
  const prepared: Record<string, Tensor> = {};
  const arrays: string[] = [];
  const constants: string[] = [];
  /** Position of an array among the kernel's: one that is an input keeps its name. */
  const share = (what: string, node: number, value: Tensor): number => {
    const name = isInput(value) ? inputName(value) : `rows:${target}:${what}:${node}`;
    if (!isInput(value)) prepared[name] = value;
    return arrays.push(name) - 1;
  };
  const affineArrays = (node: number, { weight, bias }: Weights) => ({
    weight: share('weight', node, weight as Tensor),
    bias: bias === undefined ? undefined : share('bias', node, bias),
  });
  const start = affineArrays(target, weightsOf(net, target, parameters));
  let region = startRegion(layer);
  const grid = region.grid;
  const steps: { step: KernelStep; arrays: readonly (number | undefined)[] }[] = [];
  for (let k = target - 1; k >= 0; k--) {
    const { layer: passed } = net.nodes[k] as NetworkNode;
    if (passed.kind === 'relu') {
      const { lower, upper, intercept } = reluSlopes(at(k - 1));
      const alpha = share('slope below', k, transpose(lower));
      constants.push(arrays[alpha] as string);
      const above = share('slope above', k, transpose(upper));
      const mu = share('intercept above', k, transpose(intercept));
      steps.push({ step: { kind: 'relu', region: kernelRegion(region) }, arrays: [alpha, above, mu] });
    } else if (passed.kind === 'affine') {
      const behind = regionBehind(region, passed);
      const { weight, bias } = affineArrays(k, weightsOf(net, k, parameters));
      steps.push({ step: affineStep(region, behind, passed), arrays: [weight, bias] });
      region = behind;
    }
  }
  share('centre', -1, transpose(mul(add(box.lower, box.upper), 0.5)));
  share('radius', -1, transpose(mul(sub(box.upper, box.lower), 0.5)));
  const features = featuresOf(layer.output);
  const head = { batch, channels: features / places({ ...region, grid }), grid };
  const chain = encodeChain({ ...head, ...start, input: kernelRegion(region), steps });
  return [
    {
      kind: 'whole',
      path: 'kernel',
      outputs: { ...prepared, [names.cheap.lower]: cheap.lower, [names.cheap.upper]: cheap.upper },
    },
    {
      kind: 'row-kernel',
      path: 'kernel',
      cheap: names.cheap,
      refined: names.refined,
      shape: [features, batch],
      places: places({ ...region, grid }),
      dtype,
      all,
      chain,
      arrays,
      constants,
    },
  ];
}
