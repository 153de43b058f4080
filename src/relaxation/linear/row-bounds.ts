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
import type { RowBounds, RowIndices, Stage } from '../../runtime/plan/plan.js';
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
  return new RowProgram(problem, target, at).stages(cheap, refined, all);
}

/** Adds b to a sum that may have no term yet. */
const plus = (a: Tensor | undefined, b: Tensor): Tensor => (a === undefined ? b : add(a, b));

/** The rows of one node on their way to the input: tables for all images, and what happens to each row. */
class RowProgram {
  readonly #layer: AffineLayer;
  readonly #weights: Weights;
  readonly #firstRelu: number;
  /** Tables that the stage before the rows computes; the row programs read them as inputs. */
  readonly #prepared: Record<string, Tensor> = {};
  /** Steps from the node before the target to the input. */
  readonly #steps: ((rows: RowState, row: RowIndices) => RowState)[] = [];
  #region: Region;
  #widest: number;
  #baseLower: Tensor | undefined;
  #baseUpper: Tensor | undefined;

  constructor(
    readonly problem: BoundProblem,
    readonly target: number,
    readonly at: (node: number) => Bounds,
  ) {
    const { network: net, parameters, box } = problem;
    this.#layer = net.nodes[target]?.layer as AffineLayer;
    this.#weights = weightsOf(net, target, parameters);
    this.#firstRelu = net.nodes.findIndex(({ layer }) => layer.kind === 'relu');
    this.#region = startRegion(this.#layer);
    this.#widest = regionSize(this.#region);
    const bias = this.#layer.bias(this.#weights, box.lower.dtype as FloatType);
    this.#baseLower = bias;
    this.#baseUpper = bias;
    for (let k = target - 1; k >= 0; k--) this.#pass(k);
    this.#widest = Math.max(this.#widest, regionSize(this.#region));
  }

  stages(cheap: Bounds, refined: { lower: string; upper: string }, all: boolean): Stage[] {
    const { box } = this.problem;
    const build = this.#build(cheap);
    const cheapNames = { lower: this.#name('cheap lower'), upper: this.#name('cheap upper') };
    const fitting = 2 ** Math.floor(Math.log2(ROW_FLOATS / this.#widest));
    const largest = Math.max(64, Math.min(MAX_ROWS, fitting));
    return [
      {
        kind: 'whole',
        outputs: { ...this.#prepared, [cheapNames.lower]: cheap.lower, [cheapNames.upper]: cheap.upper },
      },
      {
        kind: 'rows',
        cheap: cheapNames,
        refined,
        shape: [featuresOf(this.#layer.output), box.lower.shape[1] as number],
        places: places(startRegion(this.#layer)),
        dtype: box.lower.dtype as FloatType,
        capacities: largest >= 512 ? [largest >> 3, largest] : [largest],
        build,
        all,
      },
    ];
  }

  #name(what: string, node: number | string = ''): string {
    return `rows:${this.target}:${what}:${node}`;
  }

  #share(key: string, value: Tensor): Tensor {
    this.#prepared[key] = value;
    return input(key, value.shape, value.dtype);
  }

  /** Carries rows over node k. */
  #pass(k: number): void {
    const { layer } = this.problem.network.nodes[k] as NetworkNode;
    this.#widest = Math.max(this.#widest, regionSize(this.#region));
    if (layer.kind === 'relu') this.#passReluNode(k);
    else if (layer.kind === 'affine') this.#passAffine(k, layer);
  }

  #passReluNode(k: number): void {
    const region = this.#region;
    const before = this.at(k - 1);
    const slopes = reluSlopes(before);
    const middle = mul(add(slopes.lower, slopes.upper), 0.5);
    const half = mul(sub(slopes.lower, slopes.upper), 0.5);
    const middles = this.#share(this.#name('S', k), regionTable(middle, region));
    const halves = this.#share(this.#name('D', k), regionTable(half, region));
    const centre = k === this.#firstRelu ? mul(add(before.lower, before.upper), 0.5) : undefined;
    if (k === this.target - 1) {
      this.#countFirstRelu(slopes.intercept, middle, half, centre);
      this.#steps.push((rows, row) => passFirstRelu(rows, row.place, middles, halves));
      return;
    }
    const intercept = mul(regionTable(slopes.intercept, region), 0.5);
    const intercepts = this.#share(this.#name('intercept', k), intercept);
    const centres = centre && this.#share(this.#name('centre', k), regionTable(centre, region));
    this.#steps.push((rows, row) => {
      const next = passRelu(rows, row.place, middles, halves, intercepts);
      return centres ? withConstants(next, (a) => rowSum(mul(a, takeRows(centres, row.place)))) : next;
    });
  }

  /** Constants of the ReLU just before the target, for all rows at once. */
  #countFirstRelu(intercept: Tensor, middle: Tensor, half: Tensor, centre: Tensor | undefined): void {
    const layer = this.#layer;
    const weights = this.#weights;
    const weight = weights.weight as Tensor;
    const positive: Weights = { weight: relu(weight) };
    const negative: Weights = { weight: neg(relu(neg(weight))) };
    this.#baseLower = plus(this.#baseLower, layer.linear(negative, intercept));
    this.#baseUpper = plus(this.#baseUpper, layer.linear(positive, intercept));
    if (centre === undefined) return;
    const straight = layer.linear(weights, mul(middle, centre));
    const bent = layer.linear(layer.absolute(weights), mul(half, centre));
    this.#baseLower = plus(this.#baseLower, add(straight, bent));
    this.#baseUpper = plus(this.#baseUpper, sub(straight, bent));
  }

  #passAffine(k: number, passed: AffineLayer): void {
    const { network: net, parameters } = this.problem;
    const here = this.#region;
    const weights = weightsOf(net, k, parameters);
    const matrix = hasAdjointMatrix(here, passed)
      ? this.#share(this.#name('matrix', k), adjointMatrix(here, passed, weights))
      : undefined;
    // Behind the first ReLU everything is affine in the input, and its value at the centre is already
    // counted.
    const bias = k > this.#firstRelu ? weights.bias : undefined;
    const back = (a: Tensor) => (matrix ? gemm(a, matrix) : regionAdjoint(a, here, passed, weights));
    this.#steps.push((rows) => {
      const counted = bias ? withConstants(rows, (a) => gemm(a, regionBias(bias, here))) : rows;
      return {
        ...counted,
        middle: back(rows.middle),
        spread: rows.spread && back(rows.spread),
        magnitude: undefined,
      };
    });
    this.#region = regionBehind(here, passed);
  }

  /** The graph over some rows. */
  #build(cheap: Bounds): (row: RowIndices) => RowBounds {
    const { box } = this.problem;
    const size = featuresOf(this.#layer.output) * (box.lower.shape[1] as number);
    const half = mul(sub(box.upper, box.lower), 0.5);
    const radius = this.#share(this.#name('radius'), regionTable(half, this.#region));
    const zero = mul(cheap.lower, 0);
    const base = (what: string, value: Tensor | undefined) =>
      this.#share(this.#name(`base ${what}`), reshape(add(zero, value ?? zero), [size, 1]));
    const lowerBase = base('lower', this.#baseLower);
    const upperBase = base('upper', this.#baseUpper);
    const start = startRows(this.#layer, this.#weights);
    const magnitudes = abs(start);
    return (row) => {
      const initial: RowState = {
        middle: takeRows(start, row.channel),
        spread: undefined,
        magnitude: takeRows(magnitudes, row.channel),
        lowerOffset: takeRows(lowerBase, row.position),
        upperOffset: takeRows(upperBase, row.position),
      };
      const state = this.#steps.reduce((rows, step) => step(rows, row), initial);
      const { lower, upper } = ends(state);
      const radii = takeRows(radius, row.place);
      const rows = row.channel.shape[0] as number;
      return {
        lower: reshape(sub(state.lowerOffset, rowSum(mul(abs(lower), radii))), [rows]),
        upper: reshape(add(state.upperOffset, rowSum(mul(abs(upper), radii))), [rows]),
        residuals: [lower, upper],
      };
    };
  }
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
