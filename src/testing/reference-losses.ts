/**
 * The losses of the reference values, as stages over the inputs x, lower, upper, labels and the parameters.
 */
import { add, type FloatType, input, mul, total } from '../graph/index.js';
import { logitsOfRuns } from '../network/layer-runs.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { crossEntropy, marginCrossEntropy } from '../objective/losses.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import type { Stage } from '../runtime/plan/plan.js';
import { boundProblem } from './bound-programs.js';

/** Mean CE of the worst case, and `natural` · mean CE(logits); outputs loss, margins and logits. */
export function lossStages(
  relaxation: Relaxation,
  net: Network,
  batch: number,
  options: { natural: number; elision: boolean; dtype: FloatType },
): Stage[] {
  const { natural, elision, dtype } = options;
  const problem = { ...boundProblem(net, batch, dtype), elision };
  const values = logitsOfRuns(net, problem.parameters, input('x', [featuresOf(net.input), batch], dtype));
  const { stages, margins } = relaxation.bound(problem);
  const robust = mul(total(marginCrossEntropy(margins)), 1 / batch);
  const loss =
    natural > 0
      ? add(robust, mul(total(crossEntropy(values, problem.specification.labels)), natural / batch))
      : robust;
  return [...stages, { kind: 'whole', outputs: { loss, margins, logits: values } }];
}
