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
  addAll,
  type FloatType,
  gemm,
  input,
  mul,
  neg,
  relu,
  reshape,
  sub,
  type Tensor,
  takeRows,
} from '../../graph/index.js';
import { type AffineLayer, featuresOf, type Weights } from '../../network/layers/layer.js';
import { type NetworkNode, weightsOf } from '../../network/network.js';
import type { RowBounds, RowIndices, RowsStage, Stage, WholeStage } from '../../runtime/plan/plan.js';
import {
  adjointBlocks,
  type Band,
  type Banded,
  bandOf,
  bandsBehind,
  hasAdjointMatrix,
  joined,
  oneBand,
  startBands,
  startRows,
  timesBlocks,
} from './bands.js';
import {
  places,
  type Region,
  regionAdjoint,
  regionBehind,
  regionBias,
  regionSize,
  regionTable,
  startRegion,
} from './region.js';
import { kernelRows } from './row-chain.js';
import {
  boundRows,
  passFirstRelu,
  passRelu,
  type ReluTables,
  type RowState,
  rowProducts,
  takeLines,
  withConstants,
} from './row-state.js';
import { cheapNames, type RowTarget } from './row-target.js';

/**
 * Numbers of floats that one program's widest array may hold: small enough to stay in the processor's cache.
 */
const ROW_FLOATS = 1 << 19;
const MAX_ROWS = 4096;

/** Stages that refine the cheap bounds of a node: by the row kernel where it was built, else by programs. */
export function rowStages(target: RowTarget): Stage[] {
  const programs = new RowProgram(target).stages();
  const kernel = kernelRows(target, cheapNames(target));
  return kernel === undefined ? programs : [{ kind: 'row-kernel', ...kernel, programs }];
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
  /** Bands of the region that the coefficients are in. */
  #bands: readonly Band[];
  /** Coefficients that rows start with, by channel. */
  readonly #start: Banded;
  #widest: number;
  #baseLower: Tensor | undefined;
  #baseUpper: Tensor | undefined;

  constructor(readonly target: RowTarget) {
    const { problem, node, rule } = target;
    const { network: net, parameters, box } = problem;
    this.#layer = net.nodes[node]?.layer as AffineLayer;
    this.#weights = weightsOf(net, node, parameters);
    this.#firstRelu = net.nodes.findIndex(({ layer }) => layer.kind === 'relu');
    this.#region = startRegion(this.#layer);
    const next = net.nodes.slice(0, node).findLast(({ layer }) => layer.kind === 'affine')?.layer;
    this.#bands = startBands(this.#region, next as AffineLayer | undefined);
    const start = startRows(this.#region, this.#bands, this.#weights);
    this.#start = start.length > 1 ? this.#shareBands('start', start) : start;
    this.#widest = regionSize(this.#region);
    const bias = rule.reach ? undefined : this.#layer.bias(this.#weights, box.lower.dtype as FloatType);
    this.#baseLower = bias;
    this.#baseUpper = bias;
    for (let k = node - 1; k >= 0; k--) this.#pass(k);
    this.#widest = Math.max(this.#widest, regionSize(this.#region));
  }

  stages(): [WholeStage, RowsStage] {
    const { problem, cheap, refined, all } = this.target;
    const { box } = problem;
    const build = this.#build();
    const names = cheapNames(this.target);
    const fitting = 2 ** Math.floor(Math.log2(ROW_FLOATS / this.#widest));
    const largest = Math.max(64, Math.min(MAX_ROWS, fitting));
    return [
      {
        kind: 'whole',
        outputs: { ...this.#prepared, [names.lower]: cheap.lower, [names.upper]: cheap.upper },
      },
      {
        kind: 'rows',
        cheap: names,
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
    return `${this.target.rule.name} rows:${this.target.node}:${what}:${node}`;
  }

  #share(key: string, value: Tensor): Tensor {
    this.#prepared[key] = value;
    return input(key, value.shape, value.dtype);
  }

  #shareBands(name: string, values: Banded): Banded {
    return values.map((value, i) => this.#share(this.#name(name, i), value));
  }

  /** A table [features, batch] as rows see it, by (place, image), in their bands. */
  #shareTable(what: string, node: number | string, value: Tensor): Banded {
    const tables = this.#bands.map((band) => regionTable(value, bandOf(this.#region, band)));
    return this.#shareBands(`${what}:${node}`, tables);
  }

  /** Carries rows over node k. */
  #pass(k: number): void {
    const { layer } = this.target.problem.network.nodes[k] as NetworkNode;
    this.#widest = Math.max(this.#widest, regionSize(this.#region));
    if (layer.kind === 'relu') this.#passReluNode(k);
    else if (layer.kind === 'affine') this.#passAffine(k, layer);
  }

  #passReluNode(k: number): void {
    const { node, rule, at } = this.target;
    const before = at(k - 1);
    const slopes = rule.slopes(before);
    const middle = rule.straight ? slopes.upper : mul(add(slopes.lower, slopes.upper), 0.5);
    const half = rule.straight ? undefined : mul(sub(slopes.lower, slopes.upper), 0.5);
    const share = (what: string, value: Tensor) => this.#shareTable(what, k, value);
    const tables: ReluTables = {
      middles: share('S', middle),
      halves: half && share('D', half),
      intercepts: undefined,
    };
    const centre =
      k === this.#firstRelu && !rule.reach ? mul(add(before.lower, before.upper), 0.5) : undefined;
    if (k === node - 1) {
      if (!rule.reach) this.#countFirstRelu(slopes.intercept, middle, half, centre);
      this.#steps.push((rows, row) => passFirstRelu(rows, row.place, tables));
      return;
    }
    if (rule.nested) this.#boundAt(k);
    const intercepts = rule.reach ? undefined : share('intercept', mul(slopes.intercept, 0.5));
    const centres = centre && share('centre', centre);
    this.#steps.push((rows, row) => {
      const next = passRelu(rows, row.place, { ...tables, intercepts });
      return centres ? withConstants(next, (a) => rowProducts(a, takeLines(centres, row.place))) : next;
    });
  }

  /** Bounds rows at the output of ReLU k, too. */
  #boundAt(k: number): void {
    const { lower, upper } = this.target.at(k);
    const table = (what: string, value: Tensor) => this.#shareTable(what, k, mul(value, 0.5));
    const centres = table('output centre', add(lower, upper));
    const radii = table('output radius', sub(upper, lower));
    this.#steps.push((rows, { place }) => ({
      ...rows,
      best: boundRows(rows, takeLines(centres, place), takeLines(radii, place)),
    }));
  }

  /** Constants of the ReLU just before the target, for all rows at once. */
  #countFirstRelu(
    intercept: Tensor,
    middle: Tensor,
    half: Tensor | undefined,
    centre: Tensor | undefined,
  ): void {
    const layer = this.#layer;
    const weights = this.#weights;
    const weight = weights.weight as Tensor;
    const positive: Weights = { weight: relu(weight) };
    const negative: Weights = { weight: neg(relu(neg(weight))) };
    this.#baseLower = plus(this.#baseLower, layer.linear(negative, intercept));
    this.#baseUpper = plus(this.#baseUpper, layer.linear(positive, intercept));
    if (centre === undefined) return;
    const straight = layer.linear(weights, mul(middle, centre));
    const bent = half && layer.linear(layer.absolute(weights), mul(half, centre));
    this.#baseLower = plus(this.#baseLower, bent ? add(straight, bent) : straight);
    this.#baseUpper = plus(this.#baseUpper, bent ? sub(straight, bent) : straight);
  }

  #passAffine(k: number, passed: AffineLayer): void {
    const { problem, rule } = this.target;
    const { network: net, parameters } = problem;
    const [here, bands] = [this.#region, this.#bands];
    const weights = weightsOf(net, k, parameters);
    // Behind the first ReLU everything is affine in the input, and its value at the centre is already
    // counted.
    const bias = k > this.#firstRelu && !rule.reach ? weights.bias : undefined;
    const biases = bias && bands.map((band) => regionBias(bias, bandOf(here, band)));
    const counted = (rows: RowState) =>
      biases ? withConstants(rows, (a) => addAll(a.map((band, i) => gemm(band, biases[i] as Tensor)))) : rows;
    const back = this.#adjoint(k, passed, weights);
    this.#steps.push((rows) => ({
      ...counted(rows),
      middle: back(rows.middle),
      spread: rows.spread && back(rows.spread),
      magnitude: undefined,
    }));
    this.#region = regionBehind(here, passed);
  }

  /** Carries coefficients back through node k: by blocks of its matrix where that is small. */
  #adjoint(k: number, passed: AffineLayer, weights: Weights): (rows: Banded) => Banded {
    const [here, bands] = [this.#region, this.#bands];
    if (!hasAdjointMatrix(here, passed)) {
      this.#bands = oneBand(regionBehind(here, passed));
      return (rows) => [regionAdjoint(joined(rows, here), here, passed, weights)];
    }
    this.#bands = bandsBehind(bands, passed);
    const blocks = adjointBlocks(here, bands, passed, weights).map((block) => ({
      ...block,
      matrix: this.#share(this.#name(`matrix:${block.from}:${block.to}`, k), block.matrix),
    }));
    return (rows) => timesBlocks(rows, blocks);
  }

  /** The graph over some rows. */
  #build(): (row: RowIndices) => RowBounds {
    const { problem, cheap } = this.target;
    const { box } = problem;
    const size = featuresOf(this.#layer.output) * (box.lower.shape[1] as number);
    const half = mul(sub(box.upper, box.lower), 0.5);
    const radius = this.#shareTable('radius', '', half);
    const zero = mul(cheap.lower, 0);
    const base = (what: string, value: Tensor | undefined) =>
      this.#share(this.#name(`base ${what}`), reshape(add(zero, value ?? zero), [size, 1]));
    const lowerBase = base('lower', this.#baseLower);
    const upperBase = base('upper', this.#baseUpper);
    const magnitudes = this.#start.map(abs);
    return (row) => {
      const initial: RowState = {
        middle: takeLines(this.#start, row.channel),
        spread: undefined,
        magnitude: takeLines(magnitudes, row.channel),
        lowerOffset: takeRows(lowerBase, row.position),
        upperOffset: takeRows(upperBase, row.position),
      };
      const state = this.#steps.reduce((rows, step) => step(rows, row), initial);
      const { lower, upper } = boundRows(state, undefined, takeLines(radius, row.place));
      const rows = row.channel.shape[0] as number;
      return { lower: reshape(lower, [rows]), upper: reshape(upper, [rows]) };
    };
  }
}
