/**
 * Comparisons, selection and the piecewise-linear functions made of them. Kinks take the derivative of their
 * right (x > 0) or left branch.
 */
import { broadcastShapes, forEachBroadcast } from '../broadcast.js';
import { apply, type FloatType, fail, isFloat, type Operator, sizeOf, type Tensor } from '../tensor.js';
import { mul } from './arithmetic.js';
import { implicitBroadcast, sumTo } from './broadcasting.js';
import { asTensor } from './leaves.js';
import { liftElementwise } from './member-axis.js';

type Operand = Tensor | number;

const greaterOperator: Operator = {
  name: 'Greater',
  infer(inputs) {
    if (inputs[0]?.dtype !== inputs[1]?.dtype) fail('Greater', 'inputs of one type', inputs);
    return { shape: broadcastShapes('Greater', inputs), dtype: 'bool' };
  },
  encode: (_, inputs, emit) => emit.node('Greater', inputs),
  gradient: () => [undefined, undefined],
  lift: liftElementwise,
  evaluate(node, [a, b]) {
    const out = new Float64Array(sizeOf(node.shape));
    forEachBroadcast(
      node.shape,
      node.inputs.map((t) => t.shape),
      (i, [j, k]) => {
        out[i] =
          ((a as Float64Array)[j as number] as number) > ((b as Float64Array)[k as number] as number) ? 1 : 0;
      },
    );
    return out;
  },
};
/** a > b, as booleans */
export const greater = (a: Tensor, b: Operand): Tensor => apply(greaterOperator, [a, asTensor(b, a)]);

const whereOperator: Operator = {
  name: 'Where',
  infer(inputs) {
    if (inputs[0]?.dtype !== 'bool' || inputs[1]?.dtype !== inputs[2]?.dtype)
      fail('Where', 'a condition and two inputs of one type', inputs);
    return { shape: broadcastShapes('Where', inputs), dtype: (inputs[1] as Tensor).dtype };
  },
  encode: (_, inputs, emit) => emit.node('Where', inputs),
  gradient(node, g) {
    const [condition, a, b] = node.inputs as [Tensor, Tensor, Tensor];
    return [undefined, sumTo(where(condition, g, 0), a.shape), sumTo(where(condition, 0, g), b.shape)];
  },
  lift: liftElementwise,
  evaluate(node, [c, a, b]) {
    const out = new Float64Array(sizeOf(node.shape));
    forEachBroadcast(
      node.shape,
      node.inputs.map((t) => t.shape),
      (i, [h, j, k]) => {
        out[i] = (
          (c as Float64Array)[h as number]
            ? (a as Float64Array)[j as number]
            : (b as Float64Array)[k as number]
        ) as number;
      },
    );
    return out;
  },
};
/** a where the condition holds, else b */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const like = (typeof a === 'number' ? b : a) as Tensor;
  return apply(whereOperator, implicitBroadcast('Where', [condition, asTensor(a, like), asTensor(b, like)]));
}

function extremum(name: 'Max' | 'Min', pick: (a: number, b: number) => number): Operator {
  return {
    name,
    infer(inputs) {
      if (inputs[0]?.dtype !== inputs[1]?.dtype) fail(name, 'inputs of one type', inputs);
      return { shape: broadcastShapes(name, inputs), dtype: (inputs[0] as Tensor).dtype };
    },
    encode: (_, inputs, emit) => emit.node(name, inputs),
    gradient(node, g) {
      const [a, b] = node.inputs as [Tensor, Tensor];
      const first = name === 'Max' ? greater(a, b) : greater(b, a);
      return [sumTo(where(first, g, 0), a.shape), sumTo(where(first, 0, g), b.shape)];
    },
    lift: liftElementwise,
    evaluate(node, [a, b]) {
      const out = new Float64Array(sizeOf(node.shape));
      forEachBroadcast(
        node.shape,
        node.inputs.map((t) => t.shape),
        (i, [j, k]) => {
          out[i] = pick(
            (a as Float64Array)[j as number] as number,
            (b as Float64Array)[k as number] as number,
          );
        },
      );
      return out;
    },
  };
}
const maximumOperator = extremum('Max', Math.max);
const minimumOperator = extremum('Min', Math.min);
/** max(a, b), element by element */
export const maximum = (a: Tensor, b: Operand): Tensor => apply(maximumOperator, [a, asTensor(b, a)]);
/** min(a, b), element by element */
export const minimum = (a: Tensor, b: Operand): Tensor => apply(minimumOperator, [a, asTensor(b, a)]);

/**
 * Saturating x at a huge slope: one or two vectorised passes, where ORT's Sign takes two and Greater with
 * Where four. Exact but for
 * |x| below 1/STEEP, far under anything a network computes.
 */
const STEEP: Readonly<Record<FloatType, number>> = { float32: 1e30, float64: 1e300 };

function saturation(name: string, low: -1 | 0, evaluate: (x: number) => number): Operator {
  return {
    name,
    infer(inputs) {
      const [x] = inputs as [Tensor];
      if (!isFloat(x.dtype)) fail(name, 'a float input', inputs);
      return { shape: x.shape, dtype: x.dtype };
    },
    encode(node, [x], emit) {
      const dtype = node.dtype as FloatType;
      if (low === 0 && dtype === 'float32')
        return emit.node('HardSigmoid', [x as string], {
          alpha: { float: STEEP.float32 },
          beta: { float: 0 },
        });
      const scalar = (value: number) =>
        emit.constant(dtype === 'float64' ? Float64Array.of(value) : Float32Array.of(value), []);
      return emit.node('Clip', [
        emit.node('Mul', [x as string, scalar(STEEP[dtype])]),
        scalar(low),
        scalar(1),
      ]);
    },
    gradient: () => [undefined],
    lift: liftElementwise,
    evaluate: (_, [x]) => (x as Float64Array).map(evaluate),
  };
}
const stepOperator = saturation('Step', 0, (x) => (x > 0 ? 1 : 0));
const signOperator = saturation('Sign', -1, Math.sign);
/** 1 for x > 0, else 0; its derivative is 0. */
export const step = (x: Tensor): Tensor => apply(stepOperator, [x]);
/** 1, 0 or −1; its derivative is 0. */
export const sign = (x: Tensor): Tensor => apply(signOperator, [x]);

const reluOperator: Operator = {
  name: 'Relu',
  infer: ([x]) => ({ shape: (x as Tensor).shape, dtype: (x as Tensor).dtype }),
  encode: (_, inputs, emit) => emit.node('Relu', inputs),
  gradient: (node, g) => [mul(g, step(node.inputs[0] as Tensor))],
  lift: liftElementwise,
  evaluate: (_, [x]) => (x as Float64Array).map((v) => Math.max(v, 0)),
};
/** max(x, 0) */
export const relu = (x: Tensor): Tensor => apply(reluOperator, [x]);

const absOperator: Operator = {
  name: 'Abs',
  infer: ([x]) => ({ shape: (x as Tensor).shape, dtype: (x as Tensor).dtype }),
  encode: (_, inputs, emit) => emit.node('Abs', inputs),
  gradient: (node, g) => [mul(g, sign(node.inputs[0] as Tensor))],
  lift: liftElementwise,
  evaluate: (_, [x]) => (x as Float64Array).map(Math.abs),
};
/** |x| */
export const abs = (x: Tensor): Tensor => apply(absOperator, [x]);

/** x² */
export const square = (x: Tensor): Tensor => mul(x, x);
