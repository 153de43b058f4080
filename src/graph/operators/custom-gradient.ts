import { apply, type Operator, type Tensor } from '../tensor.js';

const customOperator: Operator = {
  name: 'CustomGradient',
  infer: ([value]) => ({ shape: (value as Tensor).shape, dtype: (value as Tensor).dtype }),
  encode: (_, [value]) => value as string,
  gradient: (node, g) => [undefined, ...(node.attributes.rule as GradientRule)(g)],
  evaluate: (_, [value]) => value as Float64Array,
};

/** Contributions to the gradient of each argument, given the output's. */
export type GradientRule = (output: Tensor) => (Tensor | undefined)[];

/**
 * `value`, a function of `args`, with a derivative of its own: for functions whose fastest evaluation is not
 * the one whose term-by-term derivative is fastest. The rule must be the derivative of the value; nothing
 * flows through the value's own graph.
 */
export const withGradient = (value: Tensor, args: readonly Tensor[], rule: GradientRule): Tensor =>
  apply(customOperator, [value, ...args], { rule });
export const isCustomGradient = (x: Tensor): boolean => x.operator === customOperator;
