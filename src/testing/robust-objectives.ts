/**
 * Objectives of training methods on a small network, in float64: values and gradients for given parameters,
 * images and attack starts.
 */
import { convolutionLayer } from '../network/layers/convolution.js';
import { type Extents, featuresOf, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, type Network, parameterInputs } from '../network/network.js';
import { createObjective, type ObjectiveScalars } from '../objective/objective.js';
import type { RobustLoss } from '../objective/robust-loss.js';
import { createExecutor, type PlanResult } from '../runtime/execution/executor.js';
import type { Plan } from '../runtime/plan/plan.js';
import type { Feeds } from './bound-programs.js';
import { normalNumbers, randomLabels, uniformNumbers } from './numbers.js';
import { randomParameters } from './random-networks.js';

export const IMAGES = 3;
const image: Extents = [1, 4, 4];
const first = convolutionLayer(image, { channels: 3, kernel: [2, 2], stride: [2, 2], padding: [0, 1, 1, 0] });

/** A convolution and two hidden layers: three ReLUs. */
export const smallNetwork: Network = chain('small', image, [
  first,
  reluLayer(first.output),
  linearLayer(first.output, 7),
  reluLayer([7, 1, 1]),
  linearLayer([7, 1, 1], 5),
  reluLayer([5, 1, 1]),
  linearLayer([5, 1, 1], 4),
]);
const names = Object.keys(parameterInputs(smallNetwork));

/**
 * Parameters, images, labels, weights and scalars; attacks start at `noise`, the same for methods that name
 * the same inputs.
 */
export function robustFeeds(
  method: RobustLoss | undefined,
  seed: number,
  scalars: Partial<ObjectiveScalars> = {},
): Record<string, Float64Array | Int32Array> {
  const noise =
    method === undefined
      ? {}
      : createObjective({ network: smallNetwork, robust: method, microBatch: IMAGES, dtype: 'float64' })
          .noise;
  const all: ObjectiveScalars = { epsilon: 0.15, kappa: 1, regularization: 0, beta: 0.4, ...scalars };
  return {
    images: uniformNumbers(`images ${seed}`, IMAGES * featuresOf(image)),
    labels: randomLabels(`labels ${seed}`, IMAGES, smallNetwork.classes),
    weight: Float64Array.of(0.5, 0.3, 0.2),
    ...Object.fromEntries(Object.entries(all).map(([name, value]) => [name, Float64Array.of(value)])),
    ...Object.fromEntries(
      Object.entries(noise).map(([name, size]) => [name, uniformNumbers(`${name} ${seed}`, IMAGES * size)]),
    ),
    ...randomParameters(smallNetwork, seed),
  };
}

/**
 * The objective of a method alone: values, and gradients in the order of the parameters, for each of the
 * feeds.
 */
export async function runRobust(
  method: RobustLoss,
  feeds: readonly Feeds[],
  values = false,
): Promise<PlanResult[]> {
  const objective = createObjective({
    network: smallNetwork,
    robust: method,
    microBatch: IMAGES,
    dtype: 'float64',
    natural: 'none',
  });
  const executor = createExecutor();
  try {
    const results: PlanResult[] = [];
    for (const feed of feeds) {
      const { outputs, gradients } = await executor.run(
        values ? objective.value : (objective.gradient as Plan),
        feed,
      );
      results.push({ outputs, gradients: gradients.map((g) => g.slice()) });
    }
    return results;
  } finally {
    await executor.close();
  }
}

/**
 * The slope of the loss in a random direction of the parameters, by the gradient and by a central difference,
 * and how much the loss bends there: large where a kink lies within the step.
 */
export async function slopes(
  method: RobustLoss,
  seed: number,
): Promise<{ slope: number; difference: number; bend: number }> {
  const feeds = robustFeeds(method, seed);
  const step = 1e-6;
  const direction = names.map((name) =>
    normalNumbers(`${name} direction ${seed}`, feeds[name]?.length as number),
  );
  const moved = (by: number) => ({
    ...feeds,
    ...Object.fromEntries(
      names.map((name, k) => [
        name,
        (feeds[name] as Float64Array).map((p, i) => p + by * (direction[k]?.[i] as number)),
      ]),
    ),
  });
  const [at] = (await runRobust(method, [feeds])) as [PlanResult];
  const [below, above] = (await runRobust(method, [moved(-step), moved(step)], true)).map(
    ({ outputs }) => outputs.loss?.[0] as number,
  ) as [number, number];
  const slope = direction.reduce(
    (sum, d, k) => d.reduce((part, v, i) => part + v * (at.gradients[k]?.[i] as number), sum),
    0,
  );
  const size = 1 + Math.abs(above - below) / step;
  const bend = Math.abs(above - 2 * (at.outputs.loss?.[0] as number) + below) / step / size;
  return { slope: slope / size, difference: (above - below) / (2 * step) / size, bend };
}
