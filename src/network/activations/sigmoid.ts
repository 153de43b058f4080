/** σ(x) = 1/(1 + exp(−x)), σ' = e/(1 + e)² with e = exp(−|x|), σ'' = σ' (1 − 2σ). It is (1 + tanh(x/2))/2. */
import {
  abs,
  add,
  div,
  exp,
  mul,
  neg,
  sigmoid as sigmoidOf,
  square,
  sub,
  type Tensor,
} from '../../graph/index.js';
import type { ActivationFunction } from './activation-function.js';
import { tanh } from './tanh.js';

function derivative(x: Tensor): Tensor {
  const e = exp(neg(abs(x)));
  return div(e, square(add(e, 1)));
}

export const sigmoid: ActivationFunction = {
  onnx: 'Sigmoid',
  value: sigmoidOf,
  derivative,
  secondDerivative: (x) => mul(derivative(x), sub(1, mul(sigmoidOf(x), 2))),
  touching: (reach) => mul(tanh.touching(mul(reach, 0.5)), 2),
};
