/**
 * An ONNX file's real-number function at one input, in float64, with a bound of its rounding errors: what
 * proofs are held against. It reads nodes as the ONNX standard says them, knows nothing of `src/network`, and
 * folds nothing.
 *
 * Errors are worst cases to first order, for a unit roundoff u that the caller names: 2⁻⁵³ for what is
 * computed here, 2⁻²⁴ for what a float32 runtime may do to the same file.
 */
import type { OnnxAttribute, OnnxModel, OnnxTensor } from '../formats/onnx.js';

/** Values with a bound of the error of each. */
export interface Measured {
  readonly shape: readonly number[];
  readonly values: Float64Array;
  readonly errors: Float64Array;
}

type Attributes = Readonly<Record<string, OnnxAttribute>>;
type Rule = (inputs: readonly Measured[], attributes: Attributes, unit: number) => Measured;

/** Units in the last place that exponentials may be off by. */
const EXPONENTIAL = 16;

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function measured(shape: readonly number[], make: (i: number) => readonly [number, number]): Measured {
  const size = sizeOf(shape);
  const [values, errors] = [new Float64Array(size), new Float64Array(size)];
  for (let i = 0; i < size; i++) [values[i], errors[i]] = make(i) as [number, number];
  return { shape, values, errors };
}

const entry = ({ values, errors }: Measured, i: number): readonly [number, number] => [
  values[i] as number,
  errors[i] as number,
];

/** The file's float32 attribute; ONNX has no other. */
const real = (attributes: Attributes, name: string, otherwise: number): number => {
  const attribute = attributes[name];
  return Math.fround(attribute !== undefined && 'float' in attribute ? attribute.float : otherwise);
};
const whole = (attributes: Attributes, name: string, otherwise: number): number => {
  const attribute = attributes[name];
  return attribute !== undefined && 'int' in attribute ? attribute.int : otherwise;
};
const list = (attributes: Attributes, name: string, otherwise: readonly number[]): readonly number[] => {
  const attribute = attributes[name];
  return attribute !== undefined && 'ints' in attribute ? attribute.ints : otherwise;
};

/** One output of an operator on one entry of each input, with its error. */
type Pointwise = (entries: readonly (readonly [number, number])[], unit: number) => readonly [number, number];

/** Element by element, with the broadcasting of ONNX: missing leading axes and extents of 1 are repeated. */
function pointwise(rule: (attributes: Attributes) => Pointwise): Rule {
  return (inputs, attributes, unit) => {
    const compute = rule(attributes);
    const rank = Math.max(...inputs.map(({ shape }) => shape.length));
    const shapes = inputs.map(({ shape }) => [...new Array(rank - shape.length).fill(1), ...shape]);
    const shape = Array.from({ length: rank }, (_, axis) => Math.max(...shapes.map((s) => s[axis])));
    const places = (i: number): number[] => {
      const at = inputs.map(() => 0);
      let [left, step] = [i, inputs.map(() => 1)];
      for (let axis = rank - 1; axis >= 0; axis--) {
        const index = left % (shape[axis] as number);
        left = Math.floor(left / (shape[axis] as number));
        shapes.forEach((s, k) => {
          if (s[axis] !== 1) at[k] = (at[k] as number) + index * (step[k] as number);
        });
        step = step.map((size, k) => size * shapes[k]?.[axis]);
      }
      return at;
    };
    return measured(shape, (i) => {
      const at = places(i);
      return compute(
        inputs.map((input, k) => entry(input, at[k] as number)),
        unit,
      );
    });
  };
}

const add: Pointwise = ([[a, ea] = [0, 0], [b, eb] = [0, 0]], u) => [a + b, ea + eb + u * Math.abs(a + b)];
const multiply: Pointwise = ([[a, ea] = [0, 0], [b, eb] = [0, 0]], u) => [
  a * b,
  Math.abs(a) * eb + Math.abs(b) * ea + ea * eb + u * Math.abs(a * b),
];
const divide: Pointwise = ([[a, ea] = [0, 0], [b, eb] = [0, 0]], u) => [
  a / b,
  (ea + Math.abs(a / b) * eb) / (Math.abs(b) - eb) + u * Math.abs(a / b),
];
const both = (compute: Pointwise) => pointwise(() => compute);
const extremum = (choose: (...values: number[]) => number) =>
  both((entries) => [choose(...entries.map(([v]) => v)), Math.max(...entries.map(([, e]) => e))]);
/** x below 0 times a slope, x elsewhere. */
const leaky = ([x, e]: readonly [number, number], slope: number, u: number): readonly [number, number] => [
  x < 0 ? slope * x : x,
  Math.max(1, Math.abs(slope)) * e + (x < 0 ? u * Math.abs(slope * x) : 0),
];

/** Σ wᵢ xᵢ + b: indices of w and x, −1 where x is padding. */
function dot(
  x: Measured,
  w: Measured,
  pairs: Iterable<readonly [number, number]>,
  bias: readonly [number, number],
  unit: number,
): readonly [number, number] {
  let [sum, error, terms, count] = [bias[0], bias[1], Math.abs(bias[0]), 2];
  for (const [i, j] of pairs) {
    const [[a, ea], [b, eb]] = [entry(x, i), entry(w, j)];
    sum += a * b;
    terms += Math.abs(a * b);
    error += Math.abs(a) * eb + Math.abs(b) * ea + ea * eb;
    count++;
  }
  return [sum, error + count * unit * terms];
}

/** [1, …, n] · [n, m], with the matrix read transposed where it is asked for. */
function product(x: Measured, w: Measured, turned: boolean, unit: number): Measured {
  const inputs = w.shape[turned ? 1 : 0] as number;
  const outputs = w.values.length / inputs;
  return measured([...x.shape.slice(0, -1), outputs], (at) => {
    const [row, j] = [Math.floor(at / outputs), at % outputs];
    const pair = (i: number) => [row * inputs + i, turned ? j * inputs + i : i * outputs + j] as const;
    return dot(
      x,
      w,
      Array.from({ length: inputs }, (_, i) => pair(i)),
      [0, 0],
      unit,
    );
  });
}

/** Entries of one axis, by a list of indices. */
const gather: Rule = ([x, indices], attributes) => {
  const { shape } = x as Measured;
  const axis = whole(attributes, 'axis', 0);
  const [extent, inner] = [shape[axis] as number, sizeOf(shape.slice(axis + 1))];
  const chosen = (indices as Measured).values;
  return measured([...shape.slice(0, axis), chosen.length, ...shape.slice(axis + 1)], (i) => {
    const [outer, k] = [Math.floor(i / (chosen.length * inner)), Math.floor(i / inner) % chosen.length];
    return entry(x as Measured, (outer * extent + (chosen[k] as number)) * inner + (i % inner));
  });
};

/** Sums over one axis, which goes. */
const reduceSum: Rule = ([x, axes], _, unit) => {
  const { shape } = x as Measured;
  const axis = (axes as Measured).values[0] as number;
  const [extent, inner] = [shape[axis] as number, sizeOf(shape.slice(axis + 1))];
  return measured([...shape.slice(0, axis), ...shape.slice(axis + 1)], (i) => {
    const first = Math.floor(i / inner) * extent * inner + (i % inner);
    let [sum, error, terms] = [0, 0, 0];
    for (let k = 0; k < extent; k++) {
      const [value, e] = entry(x as Measured, first + k * inner);
      sum += value;
      terms += Math.abs(value);
      error += e;
    }
    return [sum, error + extent * unit * terms];
  });
};

/** Rows [1, n] side by side. */
const concat: Rule = (inputs) => {
  const values = inputs.flatMap((one) => Array.from(one.values.keys(), (i) => entry(one, i)));
  return measured([1, values.length], (i) => values[i] as readonly [number, number]);
};

const gemm: Rule = ([x, w, c], attributes, unit) => {
  const scaled = (of: Measured, factor: number): Measured =>
    factor === 1 ? of : measured(of.shape, (i) => multiply([entry(of, i), [factor, 0]], unit));
  const turned = whole(attributes, 'transB', 0) === 1;
  const main = scaled(product(x as Measured, w as Measured, turned, unit), real(attributes, 'alpha', 1));
  if (c === undefined) return main;
  return both(add)([main, scaled(c, real(attributes, 'beta', 1))], {}, unit);
};

/** Two dimensions, one group, no dilation. */
const convolution: Rule = ([x, w, b], attributes, unit) => {
  const [, channels, height, width] = (x as Measured).shape as [number, number, number, number];
  const [outputs, , rows, columns] = (w as Measured).shape as [number, number, number, number];
  const [top, left, bottom, right] = list(attributes, 'pads', [0, 0, 0, 0]) as [
    number,
    number,
    number,
    number,
  ];
  const [down, across] = list(attributes, 'strides', [1, 1]) as [number, number];
  const high = Math.floor((height + top + bottom - rows) / down) + 1;
  const wide = Math.floor((width + left + right - columns) / across) + 1;
  return measured([1, outputs, high, wide], (i) => {
    const [o, r, c] = [Math.floor(i / (high * wide)), Math.floor(i / wide) % high, i % wide];
    const pairs: [number, number][] = [];
    for (let k = 0; k < channels; k++)
      for (let p = 0; p < rows; p++)
        for (let q = 0; q < columns; q++) {
          const [y, z] = [r * down + p - top, c * across + q - left];
          if (y < 0 || y >= height || z < 0 || z >= width) continue;
          pairs.push([(k * height + y) * width + z, ((o * channels + k) * rows + p) * columns + q]);
        }
    return dot(x as Measured, w as Measured, pairs, b ? entry(b, o) : [0, 0], unit);
  });
};

/** γ (x − μ)/√(σ² + ϵ) + β; the bound holds for (γ/√…) x + (β − μ γ/√…) too. */
const batchNormalization: Rule = ([x, gamma, beta, mean, variance], attributes, unit) => {
  const [, channels = 1] = (x as Measured).shape;
  const area = (x as Measured).values.length / channels;
  return measured((x as Measured).shape, (i) => {
    const c = Math.floor(i / area) % channels;
    const of = (one: Measured | undefined) => (one as Measured).values[c] as number;
    const [v, e] = entry(x as Measured, i);
    const scale = of(gamma) / Math.sqrt(of(variance) + real(attributes, 'epsilon', 1e-5));
    const terms = Math.abs(v * scale) + Math.abs(of(mean) * scale) + Math.abs(of(beta));
    return [(v - of(mean)) * scale + of(beta), Math.abs(scale) * e + 8 * unit * terms];
  });
};

const RULES: Readonly<Record<string, Rule>> = {
  Abs: both(([[x, e] = [0, 0]]) => [Math.abs(x), e]),
  Add: both(add),
  BatchNormalization: batchNormalization,
  Clip: both(([[x, e] = [0, 0], low, high]) => [
    Math.min(high?.[0] ?? Number.POSITIVE_INFINITY, Math.max(low?.[0] ?? Number.NEGATIVE_INFINITY, x)),
    e,
  ]),
  Concat: concat,
  Conv: convolution,
  Div: both(divide),
  Flatten: ([x]) => ({ ...(x as Measured), shape: [1, (x as Measured).values.length] }),
  Gather: gather,
  Gemm: gemm,
  LeakyRelu: pointwise(
    (attributes) =>
      ([x = [0, 0]], u) =>
        leaky(x, real(attributes, 'alpha', 0.01), u),
  ),
  MatMul: ([x, w], _, unit) => product(x as Measured, w as Measured, false, unit),
  Max: extremum(Math.max),
  Min: extremum(Math.min),
  Mul: both(multiply),
  Neg: both(([[x, e] = [0, 0]]) => [-x, e]),
  PRelu: both(([x = [0, 0], slope = [0, 0]], u) => leaky(x, slope[0], u)),
  ReduceSum: reduceSum,
  Relu: both(([[x, e] = [0, 0]]) => [Math.max(0, x), e]),
  Sigmoid: both(([[x, e] = [0, 0]], u) => [1 / (1 + Math.exp(-x)), e / 4 + EXPONENTIAL * u]),
  Sub: both(([a = [0, 0], [b, eb] = [0, 0]], u) => add([a, [-b, eb]], u)),
  Tanh: both(([[x, e] = [0, 0]], u) => [Math.tanh(x), e + EXPONENTIAL * u]),
};

const exactly = ({ shape, data }: OnnxTensor): Measured => ({
  shape,
  values: Float64Array.from(data as ArrayLike<number | bigint>, Number),
  errors: new Float64Array(data.length),
});

/** The function of a model's only input, [batch, …extents], for a batch of one. */
export function onnxOracle(model: OnnxModel): (x: ArrayLike<number>, unit?: number) => Measured {
  const constants = new Map(model.initializers.map((tensor) => [tensor.name, exactly(tensor)]));
  const [input, output] = [model.inputs[0], model.outputs[0]];
  const shape = (input?.shape ?? []).map((extent) => (typeof extent === 'number' ? extent : 1));
  return (x, unit = 2 ** -53) => {
    const known = new Map(constants);
    known.set(input?.name ?? '', { shape, values: Float64Array.from(x), errors: new Float64Array(x.length) });
    for (const { opType, inputs, outputs, attributes } of model.nodes) {
      const rule = RULES[opType];
      if (rule === undefined) throw new Error(`oracle: expected one of ${Object.keys(RULES)}, got ${opType}`);
      known.set(
        outputs[0] as string,
        rule(
          inputs.map((name) => known.get(name) as Measured),
          attributes,
          unit,
        ),
      );
    }
    return known.get(output?.name ?? '') as Measured;
  };
}
