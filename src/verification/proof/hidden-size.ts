/**
 * How large the numbers are that a network computes with on its way to its outputs: what float32 rounding is
 * proportional to.
 */
import { abs, type FloatType, input, maximum, reduceMax, type Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { forward, type Network, parameterInputs } from '../../network/network.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';

/** max over nodes and features of |value|, [1, n], from the values [features, n] of all nodes. */
export const sizeOfValues = (values: readonly Tensor[]): Tensor =>
  values.map((value) => reduceMax(abs(value), [0])).reduce((a, b) => maximum(a, b));

/** (parameters, `x` [inputs, 1]) → `size`: the largest activation at x. */
export function hiddenSizePlan(net: Network, dtype: FloatType): Plan {
  const values = forward(net, parameterInputs(net, dtype), input('x', [featuresOf(net.input), 1], dtype));
  return createPlan([{ kind: 'whole', outputs: { size: sizeOfValues(values) } }]);
}
