/**
 * Plans of relaxations in float32: margins and the gradient of an uneven sum of them, for tests that compare
 * devices.
 */
import { constant, mul, sizeOf, total } from '../graph/index.js';
import { type Network, parameterInputs } from '../network/network.js';
import { type RelaxationName, relaxations } from '../relaxation/index.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Plan } from '../runtime/plan/plan.js';
import { BATCH, caseFeeds } from './bound-cases.js';
import { boundProblem, type Feeds } from './bound-programs.js';

/**
 * `margins` [classes − 1, batch] and, for a differentiable relaxation, the gradient of `loss` in all
 * parameters.
 */
export function marginPlan(name: RelaxationName, net: Network): Plan {
  const { stages, margins } = relaxations[name].bound(boundProblem(net, BATCH, 'float32'));
  const weights = constant(
    Array.from({ length: sizeOf(margins.shape) }, (_, i) => Math.cos(i)),
    margins.shape,
  );
  const wrt = relaxations[name].differentiable ? Object.keys(parameterInputs(net)) : [];
  return createPlan(
    [...stages, { kind: 'whole', outputs: { loss: total(mul(margins, weights)), margins } }],
    wrt,
  );
}

/** Random parameters and boxes of radii up to ε, in float32. */
export const singleFeeds = (net: Network, seed: number, epsilon: number): Feeds =>
  Object.fromEntries(
    Object.entries(caseFeeds(net, seed, epsilon)).map(([name, x]) => [
      name,
      x instanceof Float64Array ? Float32Array.from(x) : x,
    ]),
  );
