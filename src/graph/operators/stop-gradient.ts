import { apply, type Operator, type Tensor } from '../tensor.js';

const stopGradientOperator: Operator = {
  name: 'StopGradient',
  infer: ([x]) => ({ shape: (x as Tensor).shape, dtype: (x as Tensor).dtype }),
  encode: (_, [x]) => x as string,
  gradient: () => [undefined],
  evaluate: (_, [x]) => x as Float64Array,
};
/** The value of x with no derivative: a constant to the reverse pass. */
export const stopGradient = (x: Tensor): Tensor => apply(stopGradientOperator, [x]);
export const isStopGradient = (x: Tensor): boolean => x.operator === stopGradientOperator;
