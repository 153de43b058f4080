/**
 * Runs bounds of networks over given boxes: problems whose box, labels and parameters are program inputs, and
 * their evaluation.
 */
import { type FloatType, type HostData, input } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { type Network, parameterInputs } from '../network/network.js';
import type { BoundProblem } from '../relaxation/relaxation.js';
import { createExecutor, type PlanResult } from '../runtime/execution/executor.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Plan, Stage } from '../runtime/plan/plan.js';
import { withIntervalKernel } from '../runtime/plan/stages/interval-kernel.js';
import { uniformNumbers } from './numbers.js';

export type Feeds = Readonly<Record<string, HostData>>;

/**
 * The problem over inputs named lower and upper [features, batch], labels [batch], and the network's
 * parameters.
 */
export function boundProblem(
  net: Network,
  batch: number,
  dtype: FloatType = 'float64',
): BoundProblem & { specification: { kind: 'labels' } } {
  const shape = [featuresOf(net.input), batch];
  return {
    network: net,
    parameters: parameterInputs(net, dtype),
    box: { lower: input('lower', shape, dtype), upper: input('upper', shape, dtype) },
    specification: { kind: 'labels', labels: input('labels', [batch], 'int32') },
  };
}

/**
 * Results of the stages for each of the feeds; gradients of the output `loss` in the order of `wrt`. Layers
 * run in the interval kernel where it was built, however small they are.
 */
export async function runStages(
  stages: readonly Stage[],
  feeds: readonly Feeds[],
  wrt: readonly string[] = [],
): Promise<PlanResult[]> {
  return runPlan(
    createPlan(
      withIntervalKernel(stages, () => true),
      wrt,
    ),
    feeds,
  );
}

/** Results of a plan for each of the feeds. */
export async function runPlan(plan: Plan, feeds: readonly Feeds[]): Promise<PlanResult[]> {
  const executor = createExecutor();
  try {
    const results: PlanResult[] = [];
    for (const feed of feeds) results.push(await executor.run(plan, feed));
    return results;
  } finally {
    await executor.close();
  }
}

/** The same stages, their rows in programs, of other sizes if asked for. */
export const withCapacities = (stages: readonly Stage[], capacities?: readonly number[]): Stage[] =>
  stages
    .flatMap((stage): readonly Stage[] => (stage.kind === 'row-kernel' ? stage.programs : [stage]))
    .map((stage) => (stage.kind === 'rows' && capacities ? { ...stage, capacities } : stage));

/** A box around pixels in [0, 1], [features, batch]; its radii lie between 0 and ε, some pixels are fixed. */
export function randomBox(
  seed: number,
  features: number,
  batch: number,
  epsilon: number,
): { lower: Float64Array; upper: Float64Array } {
  const centre = uniformNumbers(`centre ${seed}`, features * batch);
  const radius = uniformNumbers(`radius ${seed}`, features * batch).map((u) => (u < 0.1 ? 0 : epsilon * u));
  return {
    lower: centre.map((c, i) => c - (radius[i] as number)),
    upper: centre.map((c, i) => c + (radius[i] as number)),
  };
}
