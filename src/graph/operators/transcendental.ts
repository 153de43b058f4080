/** Smooth element-wise functions, and the log-sum-exp that losses are made of. */
import { apply, fail, isFloat, type Operator, type Tensor } from '../tensor.js';
import { add, div, mul, sub } from './arithmetic.js';
import { sum } from './broadcasting.js';
import { reduceMax } from './extrema.js';
import { liftElementwise } from './member-axis.js';
import { stopGradient } from './stop-gradient.js';

function unary(
  name: string,
  evaluate: (x: number) => number,
  gradient: (x: Tensor, out: Tensor, g: Tensor) => Tensor,
): Operator {
  return {
    name,
    infer(inputs) {
      const x = inputs[0] as Tensor;
      if (!isFloat(x.dtype)) fail(name, 'a float input', inputs);
      return { shape: x.shape, dtype: x.dtype };
    },
    encode: (_, inputs, emit) => emit.node(name, inputs),
    gradient: (node, g) => [gradient(node.inputs[0] as Tensor, node, g)],
    lift: liftElementwise,
    evaluate: (_, [x]) => (x as Float64Array).map(evaluate),
  };
}
const expOperator = unary('Exp', Math.exp, (_, out, g) => mul(g, out));
const logOperator = unary('Log', Math.log, (x, _, g) => div(g, x));
const sqrtOperator = unary('Sqrt', Math.sqrt, (_, out, g) => div(g, mul(out, 2)));
const tanhOperator = unary('Tanh', Math.tanh, (_, out, g) => mul(g, sub(1, mul(out, out))));
const sigmoidOperator = unary(
  'Sigmoid',
  (x) => 1 / (1 + Math.exp(-x)),
  (_, out, g) => mul(g, mul(out, sub(1, out))),
);

/** e^x of each value. */
export const exp = (x: Tensor): Tensor => apply(expOperator, [x]);
/** Natural logarithm of each value. */
export const log = (x: Tensor): Tensor => apply(logOperator, [x]);
/** Square root of each value. */
export const sqrt = (x: Tensor): Tensor => apply(sqrtOperator, [x]);
/** Hyperbolic tangent of each value. */
export const tanh = (x: Tensor): Tensor => apply(tanhOperator, [x]);
/** 1 / (1 + e^−x) of each value. */
export const sigmoid = (x: Tensor): Tensor => apply(sigmoidOperator, [x]);

/** log Σ exp(x) over axes, kept with extent 1; shifted by the maximum so that it never overflows. */
export function logSumExp(x: Tensor, axes: readonly number[]): Tensor {
  const shift = stopGradient(reduceMax(x, axes));
  return add(log(sum(exp(sub(x, shift)), axes)), shift);
}
