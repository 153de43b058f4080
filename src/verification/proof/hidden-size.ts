/**
 * Sizes of the numbers that a network computes with on its way to its outputs, which float32 rounding is
 * proportional to.
 */
import { abs, add, input, maximum, mul, reduceMax, type Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { forward, type Network, parameterInputs } from '../../network/network.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { runningError } from './running-error.js';

/** max over nodes and features of |value|, [1, n], from the values [features, n] of all nodes. */
export const sizeOfValues = (values: readonly Tensor[]): Tensor =>
  values.map((value) => reduceMax(abs(value), [0])).reduce((a, b) => maximum(a, b));

/**
 * (parameters, `box:lower`, `box:upper` [inputs, 1]) → `size`, the largest activation at the box's centre,
 * and `error`, the running errors of the outputs over the box.
 */
export function hiddenSizePlan(net: Network): Plan {
  const parameters = parameterInputs(net);
  const [lower, upper] = ['box:lower', 'box:upper'].map((name) =>
    input(name, [featuresOf(net.input), 1]),
  ) as [Tensor, Tensor];
  const values = forward(net, parameters, mul(add(lower, upper), 0.5));
  const error = runningError(net, parameters, { lower, upper }, values);
  return createPlan([{ kind: 'whole', outputs: { size: sizeOfValues(values), error } }]);
}
