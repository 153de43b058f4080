/**
 * Bounds of single neurons of single images by back-substitution over receptive fields: two stages.
 *
 * With S = (α + λ)/2 and D = (α − λ)/2 of each ReLU, a row a passes it as S∘a + D∘|a| for its lower and S∘a − D∘|a| for its upper
 * bound. In the ReLU next to the start the rows are weights alone, so everything but the input's radius is a convolution over the
 * batch and is made once (`prepare`); the rows themselves only carry coefficients to the input and weigh them with the radius.
 */
import { abs, add, type FloatType, gemm, input, mul, neg, relu, reshape, sub, sum, type Tensor, takeRows } from '../graph/index.js';
import { type AffineLayer, featuresOf, type Weights } from '../network/layers/layer.js';
import { type NetworkNode, weightsOf } from '../network/network.js';
import type { RowIndices, Stage } from '../runtime/plan.js';
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
import type { BoundProblem, Bounds } from './relaxation.js';
import { reluSlopes } from './slopes.js';

/** Numbers of floats that one program's widest array may hold: small enough to stay in the processor's cache. */
const ROW_FLOATS = 1 << 20;
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
        steps.push((rows, row) => passRelu(rows, row, middles, halves));
      } else {
        const intercepts = share(name('intercept', k), mul(regionTable(slopes.intercept, region), 0.5));
        const centres = centre && share(name('centre', k), regionTable(centre, region));
        steps.push((rows, row) => {
          const chosen = takeRows(intercepts, row.place);
          const withIntercept: RowState = {
            ...rows,
            lowerOffset: plus(rows.lowerOffset, rowSum(mul(sub(rows.lower, abs(rows.lower)), chosen))),
            upperOffset: plus(rows.upperOffset, rowSum(mul(add(rows.upper, abs(rows.upper)), chosen))),
          };
          const next = passRelu(withIntercept, row, middles, halves);
          if (centres === undefined) return next;
          const value = takeRows(centres, row.place);
          return {
            ...next,
            lowerOffset: plus(next.lowerOffset, rowSum(mul(next.lower, value))),
            upperOffset: plus(next.upperOffset, rowSum(mul(next.upper, value))),
          };
        });
      }
    } else if (passed.kind === 'affine') {
      const here = region;
      const layerWeights = weightsOf(net, k, parameters);
      const matrix = hasAdjointMatrix(here, passed) ? share(name('matrix', k), adjointMatrix(here, passed, layerWeights)) : undefined;
      // Behind the first ReLU everything is affine in the input, and its value at the centre is already counted.
      const passedBias = k > firstRelu ? layerWeights.bias : undefined;
      steps.push((rows) => {
        const back = (a: Tensor) => (matrix ? gemm(a, matrix) : regionAdjoint(a, here, passed, layerWeights));
        const constant = (a: Tensor) => gemm(a, regionBias(passedBias as Tensor, here));
        const same = rows.lower === rows.upper;
        const lower = back(rows.lower);
        const offsets = passedBias && { lowerOffset: plus(rows.lowerOffset, constant(rows.lower)), upperOffset: plus(rows.upperOffset, constant(rows.upper)) };
        return { ...rows, ...offsets, lower, upper: same ? lower : back(rows.upper) };
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

  const build = (row: RowIndices) => {
    const a = takeRows(start, row.channel);
    const initial: RowState = { lower: a, upper: a, lowerOffset: takeRows(lowerBase, row.position), upperOffset: takeRows(upperBase, row.position) };
    const { lower, upper, lowerOffset, upperOffset } = steps.reduce((state, step) => step(state, row), initial);
    const spread = takeRows(radius, row.place);
    const rows = row.channel.shape[0] as number;
    return {
      lower: reshape(sub(lowerOffset as Tensor, rowSum(mul(abs(lower), spread))), [rows]),
      upper: reshape(add(upperOffset as Tensor, rowSum(mul(abs(upper), spread))), [rows]),
    };
  };
  const cheapNames = { lower: name('cheap lower'), upper: name('cheap upper') };
  const largest = Math.max(64, Math.min(MAX_ROWS, 2 ** Math.floor(Math.log2(ROW_FLOATS / widest))));
  const capacities = largest >= 512 ? [largest >> 3, largest] : [largest];
  return [
    { kind: 'whole', outputs: { ...prepared, [cheapNames.lower]: cheap.lower, [cheapNames.upper]: cheap.upper } },
    { kind: 'rows', cheap: cheapNames, refined, shape: [features, batch], places: places(startRegion(layer)), dtype, capacities, build, all },
  ];
}

/** Coefficients of the lower and upper bound of each row, [rows, region size], and constants [rows, 1]. */
interface RowState {
  readonly lower: Tensor;
  readonly upper: Tensor;
  readonly lowerOffset: Tensor | undefined;
  readonly upperOffset: Tensor | undefined;
}

const rowSum = (x: Tensor): Tensor => sum(x, [1]);

/** lower ← S∘a + D∘|a|, upper ← S∘a − D∘|a|. */
function passRelu(rows: RowState, { place }: RowIndices, middles: Tensor, halves: Tensor): RowState {
  const middle = takeRows(middles, place);
  const half = takeRows(halves, place);
  return {
    ...rows,
    lower: add(mul(rows.lower, middle), mul(abs(rows.lower), half)),
    upper: sub(mul(rows.upper, middle), mul(abs(rows.upper), half)),
  };
}
