/** tanh(x), tanh' = 4e/(1 + e)² with e = exp(−2|x|), tanh'' = −2 tanh tanh'. */
import { abs, add, div, exp, log, mul, square, type Tensor, tanh as tanhOf } from '../../graph/index.js';
import type { ActivationFunction } from './activation-function.js';

function derivative(x: Tensor): Tensor {
  const e = exp(mul(abs(x), -2));
  return div(mul(e, 4), square(add(e, 1)));
}

export const tanh: ActivationFunction = {
  onnx: 'Tanh',
  value: tanhOf,
  derivative,
  secondDerivative: (x) => mul(mul(tanhOf(x), derivative(x)), -2),
  // reach/2 where that is small, ln(2 reach)/2 where it is large.
  touching: (reach) => mul(log(add(add(reach, 1), div(square(reach), add(reach, 1)))), 0.5),
};
