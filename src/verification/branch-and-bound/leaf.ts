/**
 * What is left when all ReLUs are decided: on that part of the box the network is affine, and the polytope is
 * reached or not by a linear program,
 *
 *   minimise t  subject to  c_i·y(x) + d_i·x − b_i ≤ t
 *                           s_j z_j(x) ≥ −δ for each decided ReLU,  x in the box.
 *
 * Any dual solution gives a bound that holds (`linear-solver.ts`); δ > 0 keeps the solver's tolerances from
 * making a thin part empty. Unlike the bound of one row, this also decides conjunctions whose inequalities
 * can be fulfilled one by one, but not together.
 */
import type { FloatType, HostData, Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, parameterInputs, weightsOf } from '../../network/network.js';
import { matrixOf } from '../../relaxation/solver/layer-matrix.js';
import { type LinearProgram, openLinearProgram, SolverError } from '../../relaxation/solver/linear-solver.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Box } from '../property/property.js';
import type { Engine, Goal, HiddenBounds } from './engine.js';

/** The sign of each ReLU: 1 for z ≥ 0, −1 for z ≤ 0, by node and neuron, where it is decided. */
export type Signs = ReadonlyMap<number, ReadonlyMap<number, 1 | -1>>;

export interface LeafSolver {
  /**
   * Lower bound of max over rows of c·y + d·x − threshold on the part of the box with these signs, and where
   * it is met; Infinity if the part is empty.
   * @returns undefined when the solver gives up
   */
  solve(
    signs: Signs,
    rows: readonly Goal[],
  ): Promise<{ bound: number; point: Float32Array | undefined } | undefined>;
}

/** Entries of a network's matrices, all together, up to which they are written out. */
const MOST_ENTRIES = 2 ** 24;
/** Products of one leaf's affine maps, which the calling thread computes: about a second. */
const MOST_PRODUCTS = 2 ** 30;
/** Entries of a linear program. */
const MOST_NONZEROS = 2 ** 21;
const SECONDS = 10;
/** δ, beside the size of the neuron. */
const SLACK = 1e-6;

/** The affine map x ↦ A x + a of some features, row by row. */
interface Affine {
  readonly matrix: Float64Array;
  readonly offset: Float64Array;
}

/** A solver for leaves over one box; undefined for networks too large to be written out. */
export async function createLeafSolver(
  engine: Engine,
  box: Box,
  hidden: HiddenBounds,
  secondsLeft: () => number = () => SECONDS,
): Promise<LeafSolver | undefined> {
  const { network: net } = engine;
  const inputs = featuresOf(net.input);
  const entries = net.nodes.reduce(
    (sum, { layer }) =>
      sum + (layer.kind === 'affine' ? featuresOf(layer.input) * featuresOf(layer.output) : 0),
    0,
  );
  const widest = net.nodes.reduce((most, { layer }) => Math.max(most, featuresOf(layer.output)), inputs);
  if (
    entries > MOST_ENTRIES ||
    entries * inputs > MOST_PRODUCTS ||
    widest * inputs > MOST_ENTRIES ||
    net.nodes.some(({ layer }) => layer.kind === 'activation')
  )
    return undefined;
  let matrices: Readonly<Record<string, HostData>> | undefined;

  /** Every node as an affine map of the input under these signs, and the constraints of the decisions. */
  function unfold(signs: Signs): { outputs: Affine; constraints: { row: Float64Array; offset: number }[] } {
    const made: Affine[] = [];
    const constraints: { row: Float64Array; offset: number }[] = [];
    const identity = (): Affine => {
      const matrix = new Float64Array(inputs * inputs);
      for (let i = 0; i < inputs; i++) matrix[i * inputs + i] = 1;
      return { matrix, offset: new Float64Array(inputs) };
    };
    net.nodes.forEach(({ layer, inputs: from }, k) => {
      const read = from.map((node) => (node === INPUT ? identity() : (made[node] as Affine)));
      const first = read[0] as Affine;
      if (layer.kind === 'affine')
        made.push(
          composed(
            matrices?.[`matrix:${k}`] as Float32Array,
            matrices?.[`bias:${k}`] as Float32Array | undefined,
            first,
            inputs,
          ),
        );
      else if (layer.kind === 'join') {
        const matrix = first.matrix.map((value, i) =>
          read.slice(1).reduce((sum, other) => sum + (other.matrix[i] as number), value),
        );
        made.push({
          matrix,
          offset: first.offset.map((value, i) =>
            read.slice(1).reduce((sum, other) => sum + (other.offset[i] as number), value),
          ),
        });
      } else {
        const ends = hidden.get(k);
        const matrix = first.matrix.slice();
        const offset = first.offset.slice();
        for (let i = 0; i < offset.length; i++) {
          const decided = signs.get(k)?.get(i);
          const row = first.matrix.slice(i * inputs, (i + 1) * inputs);
          if (decided !== undefined)
            constraints.push({
              row: row.map((a) => decided * a),
              offset: decided * (first.offset[i] as number),
            });
          if (decided === 1 || (decided === undefined && (ends?.lower[i] as number) >= 0)) continue;
          matrix.fill(0, i * inputs, (i + 1) * inputs);
          offset[i] = 0;
        }
        made.push({ matrix, offset });
      }
    });
    return { outputs: made.at(-1) as Affine, constraints };
  }

  return {
    async solve(signs, rows) {
      matrices ??= await engine.run(
        engine.plan('matrices', () => matricesPlan(engine)),
        {},
      );
      const { outputs, constraints } = unfold(signs);
      if ((constraints.length + rows.length) * inputs > MOST_NONZEROS) return undefined;
      const { program, scale } = leafProgram(box, outputs, constraints, rows, inputs);
      const cost = new Float64Array(inputs + 1);
      cost[inputs] = 1;
      const open = await openLinearProgram(program, Math.max(1e-3, Math.min(SECONDS, secondsLeft())));
      try {
        const found = open.minimum(cost);
        return found === undefined
          ? { bound: Number.POSITIVE_INFINITY, point: undefined }
          : { bound: found.bound * scale, point: Float32Array.from(found.point.subarray(0, inputs)) };
      } catch (error) {
        if (error instanceof SolverError) return undefined;
        throw error;
      } finally {
        open.close();
      }
    },
  };
}

/** All affine layers of the network as matrices [out, in] and biases. */
function matricesPlan({ network: net }: Engine) {
  const dtype: FloatType = 'float32';
  const parameters = parameterInputs(net, dtype);
  const outputs: Record<string, Tensor> = {};
  net.nodes.forEach(({ layer }, k) => {
    if (layer.kind !== 'affine') return;
    const weights = weightsOf(net, k, parameters);
    outputs[`matrix:${k}`] = matrixOf(layer, weights, dtype);
    const bias = layer.bias(weights, dtype);
    if (bias !== undefined) outputs[`bias:${k}`] = bias;
  });
  return createPlan([{ kind: 'whole', outputs }]);
}

/** W (A x + a) + b. */
function composed(
  weight: Float32Array,
  bias: Float32Array | undefined,
  { matrix, offset }: Affine,
  inputs: number,
): Affine {
  const width = offset.length;
  const outputs = weight.length / width;
  const result = { matrix: new Float64Array(outputs * inputs), offset: new Float64Array(outputs) };
  for (let i = 0; i < outputs; i++) {
    const row = result.matrix.subarray(i * inputs, (i + 1) * inputs);
    let sum = bias?.[i] ?? 0;
    for (let j = 0; j < width; j++) {
      const w = weight[i * width + j] as number;
      if (w === 0) continue;
      sum += w * (offset[j] as number);
      const from = j * inputs;
      for (let k = 0; k < inputs; k++) row[k] = (row[k] as number) + w * (matrix[from + k] as number);
    }
    result.offset[i] = sum;
  }
  return result;
}

/**
 * The linear program in x and t / scale, rows divided by their size so that the solver's tolerances mean the
 * same in each.
 */
function leafProgram(
  box: Box,
  outputs: Affine,
  constraints: readonly { row: Float64Array; offset: number }[],
  rows: readonly Goal[],
  inputs: number,
): { program: LinearProgram; scale: number } {
  const reach = (row: Float64Array, offset: number) =>
    row.reduce(
      (sum, a, i) =>
        sum + Math.abs(a) * Math.max(Math.abs(box.lower[i] as number), Math.abs(box.upper[i] as number)),
      Math.abs(offset),
    );
  const goals = rows.map(({ coefficients, inputs: overInputs, threshold }) => {
    const row = overInputs ? overInputs.slice() : new Float64Array(inputs);
    let offset = -threshold;
    coefficients.forEach((c, k) => {
      if (c === 0) return;
      offset += c * (outputs.offset[k] as number);
      for (let i = 0; i < inputs; i++)
        row[i] = (row[i] as number) + c * (outputs.matrix[k * inputs + i] as number);
    });
    return { row, offset };
  });
  const scale = goals.reduce((most, { row, offset }) => Math.max(most, reach(row, offset)), 1e-30);
  const [starts, indices, values]: [number[], number[], number[]] = [[0], [], []];
  const [rowLower, rowUpper]: [number[], number[]] = [[], []];
  const append = (row: Float64Array, size: number, t: number, low: number, high: number) => {
    row.forEach((a, i) => {
      if (a === 0) return;
      indices.push(i);
      values.push(a / size);
    });
    if (t !== 0) {
      indices.push(inputs);
      values.push(t);
    }
    starts.push(indices.length);
    rowLower.push(low);
    rowUpper.push(high);
  };
  for (const { row, offset } of goals) append(row, scale, -1, Number.NEGATIVE_INFINITY, -offset / scale);
  for (const { row, offset } of constraints) {
    const size = Math.max(reach(row, offset), 1e-30);
    append(row, size, 0, -offset / size - SLACK, Number.POSITIVE_INFINITY);
  }
  const program: LinearProgram = {
    lower: Float64Array.from([...box.lower, -2]),
    upper: Float64Array.from([...box.upper, 2]),
    starts: Int32Array.from(starts),
    indices: Int32Array.from(indices),
    values: Float64Array.from(values),
    rowLower: Float64Array.from(rowLower),
    rowUpper: Float64Array.from(rowUpper),
  };
  return { program, scale };
}
