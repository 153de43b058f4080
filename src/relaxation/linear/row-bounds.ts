/**
 * Bounds of single neurons of single images by back-substitution over receptive fields: two stages.
 *
 * With S = (α + λ)/2 and D = (α − λ)/2 of each ReLU, a row a passes it as S∘a + D∘|a| for its lower and S∘a −
 * D∘|a| for its upper bound. In the ReLU next to the start the rows are weights alone, so everything but the
 * input's radius is a convolution over the batch and is made once (`prepare`); the rows themselves only carry
 * coefficients to the input and weigh them with the radius.
 */
import {
  abs,
  add,
  type FloatType,
  gemm,
  input,
  mul,
  neg,
  relu,
  reshape,
  sub,
  sum,
  type Tensor,
  takeRows,
} from '../../graph/index.js';
import { type AffineLayer, featuresOf, type Weights } from '../../network/layers/layer.js';
import { type NetworkNode, weightsOf } from '../../network/network.js';
import { hasRowKernel } from '../../runtime/kernels/row-kernel.js';
import type { RowIndices, Stage } from '../../runtime/plan/plan.js';
import type { BoundProblem, Bounds } from '../relaxation.js';
import { reluSlopes } from '../slopes.js';
import {
  adjointMatrix,
  hasAdjointMatrix,
  places,
  type Region,
  regionAdjoint,
  regionBehind,
  regionBias,
  regionSize,
  regionTable,
  startRegion,
  startRows,
} from './region.js';
import { kernelStages } from './row-chain.js';

/**
 * Numbers of floats that one program's widest array may hold: small enough to stay in the processor's cache.
 */
const ROW_FLOATS = 1 << 19;
const MAX_ROWS = 4096;

/** Stages that refine `cheap` bounds of node `target` and leave them under the names in `refined`. */
export function rowStages(
  problem: BoundProblem,
  target: number,
  at: (node: number) => Bounds,
  cheap: Bounds,
  refined: { lower: string; upper: string },
  all: boolean,
): Stage[] {
  const { network: net, parameters, box } = problem;
  const dtype = box.lower.dtype as FloatType;
  const batch = box.lower.shape[1] as number;
  const layer = net.nodes[target]?.layer as AffineLayer;
  const weights = weightsOf(net, target, parameters);
  const firstRelu = net.nodes.findIndex(({ layer: l }) => l.kind === 'relu');
  const name = (what: string, node: number | string = '') => `rows:${target}:${what}:${node}`;

  // What `prepare` makes, and the same as inputs of the row programs.
  const prepared: Record<string, Tensor> = {};
  const share = (key: string, value: Tensor): Tensor => {
    prepared[key] = value;
    return input(key, value.shape, value.dtype);
  };

  const features = featuresOf(layer.output);
  const bias = layer.bias(weights, dtype);
  const linear = (w: Weights, x: Tensor) => layer.linear(w, x);
  const weight = weights.weight as Tensor;
  const positive: Weights = { weight: relu(weight) };
  const negative: Weights = { weight: neg(relu(neg(weight))) };

  /** What happens to the rows at each node, from the one before the target to the input. */
  const steps: ((rows: RowState, row: RowIndices) => RowState)[] = [];
  let region: Region = startRegion(layer);
  let widest = regionSize(region);
  let baseLower: Tensor | undefined = bias;
  let baseUpper: Tensor | undefined = bias;
  const plus = (a: Tensor | undefined, b: Tensor): Tensor => (a === undefined ? b : add(a, b));

  for (let k = target - 1; k >= 0; k--) {
    const { layer: passed } = net.nodes[k] as NetworkNode;
    widest = Math.max(widest, regionSize(region));
    if (passed.kind === 'relu') {
      const before = at(k - 1);
      const slopes = reluSlopes(before);
      const middle = mul(add(slopes.lower, slopes.upper), 0.5);
      const half = mul(sub(slopes.lower, slopes.upper), 0.5);
      const middles = share(name('S', k), regionTable(middle, region));
      const halves = share(name('D', k), regionTable(half, region));
      const centre = k === firstRelu ? mul(add(before.lower, before.upper), 0.5) : undefined;
      if (k === target - 1) {
        baseLower = plus(baseLower, linear(negative, slopes.intercept));
        baseUpper = plus(baseUpper, linear(positive, slopes.intercept));
        if (centre !== undefined) {
          const straight = linear(weights, mul(middle, centre));
          const bent = linear(layer.absolute(weights), mul(half, centre));
          baseLower = plus(baseLower, add(straight, bent));
          baseUpper = plus(baseUpper, sub(straight, bent));
        }
        steps.push((rows, row) => passFirstRelu(rows, row.place, middles, halves));
      } else {
        const intercepts = share(name('intercept', k), mul(regionTable(slopes.intercept, region), 0.5));
        const centres = centre && share(name('centre', k), regionTable(centre, region));
        steps.push((rows, row) => {
          const next = passRelu(rows, row.place, middles, halves, intercepts);
          return centres ? withConstants(next, (a) => rowSum(mul(a, takeRows(centres, row.place)))) : next;
        });
      }
    } else if (passed.kind === 'affine') {
      const here = region;
      const layerWeights = weightsOf(net, k, parameters);
      const matrix = hasAdjointMatrix(here, passed)
        ? share(name('matrix', k), adjointMatrix(here, passed, layerWeights))
        : undefined;
      // Behind the first ReLU everything is affine in the input, and its value at the centre is already
      // counted.
      const passedBias = k > firstRelu ? layerWeights.bias : undefined;
      const back = (a: Tensor) => (matrix ? gemm(a, matrix) : regionAdjoint(a, here, passed, layerWeights));
      steps.push((rows) => {
        const counted = passedBias ? withConstants(rows, (a) => gemm(a, regionBias(passedBias, here))) : rows;
        return {
          ...counted,
          middle: back(rows.middle),
          spread: rows.spread && back(rows.spread),
          magnitude: undefined,
        };
      });
      region = regionBehind(region, passed);
    }
  }
  widest = Math.max(widest, regionSize(region));
  const radius = share(name('radius'), regionTable(mul(sub(box.upper, box.lower), 0.5), region));
  const zero = mul(cheap.lower, 0);
  const lowerBase = share(name('base lower'), reshape(add(zero, baseLower ?? zero), [features * batch, 1]));
  const upperBase = share(name('base upper'), reshape(add(zero, baseUpper ?? zero), [features * batch, 1]));
  const start = startRows(layer, weights);

  const magnitudes = abs(start);
  const build = (row: RowIndices) => {
    const initial: RowState = {
      middle: takeRows(start, row.channel),
      spread: undefined,
      magnitude: takeRows(magnitudes, row.channel),
      lowerOffset: takeRows(lowerBase, row.position),
      upperOffset: takeRows(upperBase, row.position),
    };
    const state = steps.reduce((rows, step) => step(rows, row), initial);
    const { lower, upper } = ends(state);
    const radii = takeRows(radius, row.place);
    const rows = row.channel.shape[0] as number;
    return {
      lower: reshape(sub(state.lowerOffset, rowSum(mul(abs(lower), radii))), [rows]),
      upper: reshape(add(state.upperOffset, rowSum(mul(abs(upper), radii))), [rows]),
      residuals: [lower, upper],
    };
  };
  const cheapNames = { lower: name('cheap lower'), upper: name('cheap upper') };
  const largest = Math.max(64, Math.min(MAX_ROWS, 2 ** Math.floor(Math.log2(ROW_FLOATS / widest))));
  const capacities = largest >= 512 ? [largest >> 3, largest] : [largest];
  const native = hasRowKernel()
    ? kernelStages(problem, target, at, cheap, { cheap: cheapNames, refined }, all)
    : [];
  const path = native.length > 0 ? 'programs' : undefined;
  return [
    ...native,
    {
      kind: 'whole',
      path,
      outputs: { ...prepared, [cheapNames.lower]: cheap.lower, [cheapNames.upper]: cheap.upper },
    },
    {
      kind: 'rows',
      path,
      cheap: cheapNames,
      refined,
      shape: [features, batch],
      places: places(startRegion(layer)),
      dtype,
      capacities,
      build,
      all,
    },
  ];
}

/**
 * Coefficients of each row, [rows, region size]: middle + spread of its lower bound, middle − spread of its
 * upper bound (affine layers carry both alike), and the constants of the two bounds, [rows, 1].
 */
interface RowState {
  readonly middle: Tensor;
  /** Undefined for zero: before the first ReLU both bounds have the same coefficients. */
  readonly spread: Tensor | undefined;
  /** |middle| where it is at hand. */
  readonly magnitude: Tensor | undefined;
  readonly lowerOffset: Tensor;
  readonly upperOffset: Tensor;
}

const rowSum = (x: Tensor): Tensor => sum(x, [1]);

const ends = ({ middle, spread }: RowState): { lower: Tensor; upper: Tensor } =>
  spread === undefined
    ? { lower: middle, upper: middle }
    : { lower: add(middle, spread), upper: sub(middle, spread) };

/** Adds a linear function of the coefficients to both constants. */
function withConstants(rows: RowState, value: (coefficients: Tensor) => Tensor): RowState {
  const middle = value(rows.middle);
  if (rows.spread === undefined)
    return {
      ...rows,
      lowerOffset: add(rows.lowerOffset, middle),
      upperOffset: add(rows.upperOffset, middle),
    };
  const spread = value(rows.spread);
  return {
    ...rows,
    lowerOffset: add(rows.lowerOffset, add(middle, spread)),
    upperOffset: add(rows.upperOffset, sub(middle, spread)),
  };
}

/** A ReLU where both bounds have the coefficients a: S∘a ± D∘|a|. */
function passFirstRelu(rows: RowState, place: Tensor, middles: Tensor, halves: Tensor): RowState {
  const middle = mul(rows.middle, takeRows(middles, place));
  const spread = mul(rows.magnitude ?? abs(rows.middle), takeRows(halves, place));
  return { ...rows, middle, spread, magnitude: undefined };
}

/**
 * A ReLU further on: lower ← S∘l + D∘|l|, upper ← S∘u − D∘|u|; l⁻·μ and u⁺·μ join the constants (`intercepts`
 * is μ/2).
 */
function passRelu(
  rows: RowState,
  place: Tensor,
  middles: Tensor,
  halves: Tensor,
  intercepts: Tensor,
): RowState {
  if (rows.spread === undefined) {
    const intercept = takeRows(intercepts, place);
    const magnitude = rows.magnitude ?? abs(rows.middle);
    const lowerOffset = add(rows.lowerOffset, rowSum(mul(sub(rows.middle, magnitude), intercept)));
    const upperOffset = add(rows.upperOffset, rowSum(mul(add(rows.middle, magnitude), intercept)));
    return passFirstRelu({ ...rows, magnitude, lowerOffset, upperOffset }, place, middles, halves);
  }
  const { lower, upper } = ends(rows);
  const [low, high] = [abs(lower), abs(upper)];
  const intercept = takeRows(intercepts, place);
  const scale = takeRows(middles, place);
  const half = mul(takeRows(halves, place), 0.5);
  return {
    middle: add(mul(scale, rows.middle), mul(half, sub(low, high))),
    spread: add(mul(scale, rows.spread), mul(half, add(low, high))),
    magnitude: undefined,
    lowerOffset: add(rows.lowerOffset, rowSum(mul(sub(lower, low), intercept))),
    upperOffset: add(rows.upperOffset, rowSum(mul(add(upper, high), intercept))),
  };
}
