/**
 * The set of activations that a network may take on one box, as linear constraints: of each unstable ReLU z =
 * relu(e), l < 0 < u, the triangle
 *
 *   z ≥ 0,  z ≥ e,  z ≤ u (e − l)/(u − l)   (Ehlers 2017, arXiv 1705.01320),
 *
 * which two ends make exact: z ≤ e where the ReLU is on, z ≤ 0 where it is off. What the mixed-integer
 * program of Tjeng et al. (2019, arXiv 1711.07356) says with a variable and a row more for each sign.
 * Everything else is linear: affine layers, joins and stable ReLUs are put into the expressions, so that the
 * variables are the pixels that may move, and z.
 */
import type { LinearProgram } from './linear-solver.js';

/** constant + Σ values[k] · variable indices[k]. */
export interface Expression {
  readonly indices: readonly number[];
  readonly values: readonly number[];
  readonly constant: number;
}

/** A layer as the constraints need it: its kind and the nodes it reads; −1 is the input. */
export interface ProgramNode {
  readonly kind: 'affine' | 'relu' | 'join';
  readonly inputs: readonly number[];
}

type Floats = Float32Array | Float64Array;

/** The numbers of one network on one box. */
export interface ProgramNumbers {
  /** Ends of the box. */
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /** Matrix [out, in] and bias [out] of affine node k. */
  readonly affine: (node: number) => { readonly matrix: Floats; readonly bias: Floats | undefined };
  /** Bounds of the input of ReLU node k. */
  readonly bounds: (node: number) => { readonly lower: Float64Array; readonly upper: Float64Array };
}

/** One unstable ReLU z = relu(e). */
export interface UnstableRelu {
  /** The variable z, in [0, upper]. */
  readonly output: number;
  readonly upper: number;
  /** The row z − e ≥ 0, e without its constant. */
  readonly row: number;
  readonly before: Expression;
}

export interface ReluProgram {
  readonly program: LinearProgram;
  /** The outputs of the network's last node. */
  readonly logits: readonly Expression[];
  readonly unstable: readonly UnstableRelu[];
}

const NOTHING: Expression = { indices: [], values: [], constant: 0 };

export const valueAt = ({ indices, values, constant }: Expression, point: Float64Array): number =>
  indices.reduce((sum, j, k) => sum + (values[k] as number) * (point[j] as number), constant);

/** Σ_i weights[i] · expressions[i] + constant; `variables` is how many there are. */
export function combine(
  weights: ArrayLike<number>,
  expressions: readonly Expression[],
  constant: number,
  variables: number,
): Expression {
  const dense = new Float64Array(variables);
  let total = constant;
  for (let i = 0; i < expressions.length; i++) {
    const weight = weights[i] as number;
    if (weight === 0) continue;
    const { indices, values, constant: own } = expressions[i] as Expression;
    total += weight * own;
    for (let k = 0; k < indices.length; k++)
      dense[indices[k] as number] = (dense[indices[k] as number] as number) + weight * (values[k] as number);
  }
  const indices: number[] = [];
  const values: number[] = [];
  dense.forEach((value, j) => {
    if (value === 0) return;
    indices.push(j);
    values.push(value);
  });
  return { indices, values, constant: total };
}

/** Variables and rows as they are collected. */
function constraints() {
  const lower: number[] = [];
  const upper: number[] = [];
  const starts = [0];
  const indices: number[] = [];
  const values: number[] = [];
  const rowLower: number[] = [];
  const rowUpper: number[] = [];
  return {
    count: () => lower.length,
    variable(low: number, high: number): number {
      upper.push(high);
      return lower.push(low) - 1;
    },
    /** low ≤ Σ value · variable ≤ high; gives the row's number */
    row(entries: readonly (readonly [variable: number, value: number])[], low: number, high: number): number {
      for (const [j, value] of entries) {
        indices.push(j);
        values.push(value);
      }
      starts.push(indices.length);
      rowUpper.push(high);
      return rowLower.push(low) - 1;
    },
    program: (): LinearProgram => ({
      lower: Float64Array.from(lower),
      upper: Float64Array.from(upper),
      starts: Int32Array.from(starts),
      indices: Int32Array.from(indices),
      values: Float64Array.from(values),
      rowLower: Float64Array.from(rowLower),
      rowUpper: Float64Array.from(rowUpper),
    }),
  };
}

/**
 * The constraints of a network on a box. Neurons without an input interval around zero are taken to be
 * linear, as their bounds say.
 */
export function reluProgram(
  nodes: readonly ProgramNode[],
  { lower, upper, affine, bounds }: ProgramNumbers,
): ReluProgram {
  const made = constraints();
  const unstable: UnstableRelu[] = [];
  const pixels = Array.from(lower, (low, i): Expression => {
    const high = upper[i] as number;
    return high > low
      ? { indices: [made.variable(low, high)], values: [1], constant: 0 }
      : { ...NOTHING, constant: low };
  });
  const outputs: (readonly Expression[])[] = [];
  const relu = (e: Expression, l: number, u: number): Expression => {
    if (e.indices.length === 0) return { ...NOTHING, constant: Math.max(e.constant, 0) };
    if (l >= 0) return e;
    if (u <= 0) return NOTHING;
    const output = made.variable(0, u);
    const times = (slope: number) => e.indices.map((j, k) => [j, -slope * (e.values[k] as number)] as const);
    const row = made.row([...times(1), [output, 1]], e.constant, Number.POSITIVE_INFINITY);
    const slope = u / (u - l);
    made.row([...times(slope), [output, 1]], Number.NEGATIVE_INFINITY, slope * (e.constant - l));
    unstable.push({ output, upper: u, row, before: e });
    return { indices: [output], values: [1], constant: 0 };
  };
  nodes.forEach(({ kind, inputs }, node) => {
    const from = inputs.map((k) => (k < 0 ? pixels : (outputs[k] as readonly Expression[])));
    const first = from[0] as readonly Expression[];
    if (kind === 'relu') {
      const { lower: low, upper: high } = bounds(node);
      outputs.push(first.map((e, i) => relu(e, low[i] as number, high[i] as number)));
    } else if (kind === 'join') {
      const ones = from.map(() => 1);
      outputs.push(
        first.map((_, i) =>
          combine(
            ones,
            from.map((branch) => branch[i] as Expression),
            0,
            made.count(),
          ),
        ),
      );
    } else {
      const { matrix, bias } = affine(node);
      const width = first.length;
      const row = (i: number) => matrix.subarray(i * width, (i + 1) * width);
      outputs.push(
        Array.from({ length: matrix.length / width }, (_, i) =>
          combine(row(i), first, bias?.[i] ?? 0, made.count()),
        ),
      );
    }
  });
  return { program: made.program(), logits: outputs.at(-1) ?? pixels, unstable };
}

/** The network's own activations at the pixels of `point`: its unstable ReLUs set to what they are there. */
export function trueActivations({ unstable }: ReluProgram, point: Float64Array): Float64Array {
  const at = point.slice();
  for (const { output, before } of unstable) at[output] = Math.max(valueAt(before, at), 0);
  return at;
}
