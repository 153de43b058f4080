/** Relu, joins, arithmetic with constants, and batch normalisation at inference. */
import { batchAxisOf, broadcasted, broadcastedActivation, commonShape, sameType } from './arrangement.js';
import {
  bothHalves,
  type DoubleDouble,
  doubles,
  entry,
  plus,
  product,
  quotient,
  squareRoot,
} from './double-double.js';
import { type Activation, append, type Constant, extentsOf, sizeOf, type Value } from './draft.js';
import {
  activation,
  anyActivation,
  type Call,
  constant,
  describeValue,
  fileShape,
  floats,
  integer,
  type OperatorReader,
  real,
  refuse,
  SYMBOLIC_BATCH,
} from './operator.js';
import { elementwiseAffine, materialized, nodeExtents, pointwise } from './view.js';

/**
 * A constant input as one value per feature of x, by ONNX broadcasting; it may not enlarge x or differ along
 * the batch.
 */
export function constantPerFeature(call: Call, index: number, x: Activation): Float64Array {
  const { shape, values } = floats(call, index);
  const full = fileShape(x);
  const common = commonShape([shape, full]);
  if (common === undefined || common.length !== full.length || common.some((extent, i) => extent !== full[i]))
    refuse(
      call,
      `a constant that broadcasts to ${describeValue(x).replace(/^.* /, '')}`,
      `[${shape.join(',')}]`,
    );
  const spread = broadcasted(
    call,
    { kind: 'constant', tensor: { name: '', shape, data: values } },
    full,
  ) as Constant;
  return spread.tensor.data as Float64Array;
}

/** x repeated to the extents that broadcasting gives it with the other inputs. */
export function enlarged(call: Call, x: Activation): Activation {
  const full = fileShape(x);
  const common = commonShape(call.inputs.map((value) => (value ? fileShape(value) : [])));
  if (common === undefined)
    refuse(call, 'extents that broadcast', call.inputs.map(describeValue).join(' and '));
  const same = common.length === full.length && common.every((extent, i) => extent === full[i]);
  return same ? x : broadcastedActivation(call, x, common);
}

/** One feature's s and t of x ↦ s·x + t, where c is the constant operand. */
type Rule = (
  c: number,
  constantFirst: boolean,
) => readonly [scale: number | DoubleDouble, shift: number] | undefined;

/** Arithmetic of an activation and a constant, in either order. */
function withConstant(call: Call, rule: Rule): Activation {
  const constantFirst = call.inputs[0]?.kind === 'constant';
  const x = enlarged(call, anyActivation(call, constantFirst ? 1 : 0));
  const c = constantPerFeature(call, constantFirst ? 0 : 1, x);
  const shift = new Float64Array(c.length);
  const scale = doubles(c.length, (i) => {
    const [s, t] =
      rule(c[i] as number, constantFirst) ??
      refuse(call, 'a constant to divide by', 'a constant divided by an activation, which is not affine');
    shift[i] = t;
    return typeof s === 'number' ? [s, 0] : s;
  });
  return elementwiseAffine(call.draft, x, scale, shift);
}

/** Arithmetic of constants alone: what files compute their shapes with. */
export function ofConstants(call: Call, compute: (a: number, b: number) => number): Constant {
  const [a, b] = [0, 1].map((index): Constant => ({ kind: 'constant', tensor: constant(call, index) })) as [
    Constant,
    Constant,
  ];
  const shape = commonShape([a.tensor.shape, b.tensor.shape]);
  if (shape === undefined || a.tensor.data.constructor !== b.tensor.data.constructor)
    refuse(
      call,
      'constants of one type whose extents broadcast',
      `${describeValue(a)} and ${describeValue(b)}`,
    );
  const larger = a.tensor.data.length < b.tensor.data.length ? b : a;
  const numbers = (value: Constant) =>
    Array.from(
      (broadcasted(call, value, shape, larger) as Constant).tensor.data as ArrayLike<number | bigint>,
      Number,
    );
  const [left, right] = [numbers(a), numbers(b)];
  const { data } = a.tensor;
  const whole = !(data instanceof Float32Array || data instanceof Float64Array);
  const values = left.map((p, i) => {
    const q = right[i] as number;
    if (whole && (p === SYMBOLIC_BATCH || q === SYMBOLIC_BATCH))
      refuse(call, 'arithmetic that does not depend on the batch', 'its symbolic extent');
    const value = whole ? Math.trunc(compute(p, q)) : compute(p, q);
    if (whole && !Number.isSafeInteger(value)) refuse(call, 'integers below 2⁵³', `${value}`);
    return value;
  });
  return { kind: 'constant', tensor: { name: '', shape, data: sameType(data, values) } };
}

export const arithmetic = (rule: Rule, compute: (a: number, b: number) => number): OperatorReader => ({
  attributes: [],
  read(call) {
    const activations = call.inputs.filter(isActivation).length;
    if (call.inputs.length !== 2 || activations > 1)
      refuse(call, 'a constant operand', `${call.inputs.map(describeValue).join(' and ')}`);
    return activations === 0 ? ofConstants(call, compute) : withConstant(call, rule);
  },
});

const sameTable = (a: Activation, b: Activation): boolean =>
  a.view === b.view ||
  (a.view !== undefined &&
    b.view !== undefined &&
    a.view.table.length === b.view.table.length &&
    a.view.table.every((row, i) => row === b.view?.table[i]));

/**
 * The sum of activations, with the batch on one axis. Where all are seen through one table, so is their sum.
 */
export function joined(call: Call, terms: readonly Activation[]): Activation {
  const first = terms[0] as Activation;
  if (terms.some((term) => batchAxisOf(call, term) !== batchAxisOf(call, first)))
    refuse(call, 'activations with the batch on one axis', call.inputs.map(describeValue).join(' and '));
  if (terms.length === 1) return first;
  const together = terms.every(
    (term) =>
      sameTable(term, first) && term.view?.constants === undefined && term.view?.from === first.view?.from,
  );
  const plain = together ? terms : terms.map((term) => materialized(call.draft, term));
  const output = together ? nodeExtents(call.draft, first) : extentsOf(first.shape);
  const sum = append(
    call.draft,
    { kind: 'join', inputs: plain.map(({ node }) => node), output },
    first.shape,
  );
  return { ...(plain[0] as Activation), ...sum };
}

export const isActivation = (value: Value | undefined): value is Activation => value?.kind === 'activation';

const add: OperatorReader = {
  attributes: [],
  read(call) {
    if (call.inputs.length === 2 && call.inputs.every(isActivation))
      return joined(
        call,
        call.inputs.map((x) => enlarged(call, x as Activation)),
      );
    return addends.read(call);
  },
};

const addends = arithmetic(
  (c) => [1, c],
  (a, b) => a + b,
);

/** Activations are joined, then constants are added one by one. */
const sum: OperatorReader = {
  attributes: [],
  read(call) {
    const activations = call.inputs.filter(isActivation);
    if (activations.length === 0)
      return refuse(
        call,
        'an input that depends on the network’s input',
        call.inputs.map(describeValue).join(' and '),
      );
    let total = joined(
      call,
      activations.map((x) => enlarged(call, x)),
    );
    call.inputs.forEach((value, index) => {
      if (isActivation(value)) return;
      const c = constantPerFeature(call, index, total);
      total = elementwiseAffine(call.draft, total, new Float64Array(c.length).fill(1), c);
    });
    return total;
  },
};

/** s·x for every feature. */
export function times(call: Call, x: Activation, s: number): Activation {
  const size = sizeOf(x.shape);
  return elementwiseAffine(call.draft, x, new Float64Array(size).fill(s), new Float64Array(size));
}

/** x + t for every feature. */
export function shifted(call: Call, x: Activation, t: number): Activation {
  const size = sizeOf(x.shape);
  return elementwiseAffine(call.draft, x, new Float64Array(size).fill(1), new Float64Array(size).fill(t));
}

const difference = arithmetic(
  (c, first) => (first ? [-1, c] : [1, -c]),
  (a, b) => a - b,
);

const sub: OperatorReader = {
  attributes: [],
  read(call) {
    const [a, b] = call.inputs;
    if (call.inputs.length !== 2 || !isActivation(a) || !isActivation(b)) return difference.read(call);
    return joined(call, [enlarged(call, a), times(call, enlarged(call, b), -1)]);
  },
};

const negation: OperatorReader = {
  attributes: [],
  read: (call) => times(call, anyActivation(call), -1),
};

const relu: OperatorReader = {
  attributes: [],
  read: (call) =>
    pointwise(call.draft, anyActivation(call), (inputs, output) => ({ kind: 'relu', inputs, output })),
};

/**
 * y = γ (x − μ)/√(σ² + ϵ) + β per channel, with the statistics in the file (Ioffe, Szegedy 2015, arXiv
 * 1502.03167).
 */
const batchNormalization: OperatorReader = {
  attributes: ['epsilon', 'momentum', 'spatial', 'training_mode'],
  read(call) {
    const x = activation(call);
    const channels = x.shape[0] as number;
    if (integer(call, 'training_mode', 0) !== 0 || call.node.outputs.filter((name) => name !== '').length > 1)
      refuse(call, 'inference', 'training mode; export the model in evaluation mode');
    if (integer(call, 'spatial', 1) !== 1)
      refuse(call, 'statistics per channel', 'statistics per feature (spatial 0)');
    const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) => {
      const { shape, values } = floats(call, index);
      if (shape.length !== 1 || values.length !== channels)
        refuse(call, `input ${index} of ${channels} values`, `[${shape.join(',')}]`);
      return values;
    }) as [Float64Array, Float64Array, Float64Array, Float64Array];
    const epsilon = real(call, 'epsilon', 1e-5);
    const factors = doubles(channels, (c) =>
      quotient(entry({ high: gamma }, c), squareRoot(plus(entry({ high: variance }, c), [epsilon, 0]))),
    );
    if (!factors.high.every(Number.isFinite))
      refuse(
        call,
        'variances that are not negative',
        `a factor of ${factors.high.find((f) => !Number.isFinite(f))}`,
      );
    const shifts = doubles(channels, (c) =>
      plus(entry({ high: beta }, c), product([-(mean[c] as number), 0], entry(factors, c))),
    );
    const area = sizeOf(x.shape) / channels;
    const spread = (values: Float64Array) =>
      Float64Array.from({ length: sizeOf(x.shape) }, (_, i) => values[Math.floor(i / area)] as number);
    return elementwiseAffine(call.draft, x, bothHalves(factors, spread), bothHalves(shifts, spread));
  },
};

export const elementwiseOperators: Readonly<Record<string, OperatorReader>> = {
  Add: add,
  Sum: sum,
  Sub: sub,
  Neg: negation,
  Relu: relu,
  BatchNormalization: batchNormalization,
};
