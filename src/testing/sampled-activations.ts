/**
 * What a network does on a box, from inside: ranges of activations and margins over uniform points, corners
 * and gradient steps.
 */
import { gradient, input, mul, reshape, sizeOf, sum, type Tensor, total } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { forward, type Network, parameterInputs } from '../network/network.js';
import { worstMargin } from '../objective/losses.js';
import { specificationMargins } from '../relaxation/relaxation.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Feeds } from './bound-programs.js';
import { uniformNumbers } from './numbers.js';

/** Smallest and largest value met of each entry of [rows, batch]. */
export interface MetRange {
  readonly least: Float64Array;
  readonly greatest: Float64Array;
}

export interface SampledActivations {
  /** Of the label's margins, the other classes ascending: [classes − 1, batch]. */
  readonly margins: MetRange;
  /** Of each node's output, [features, batch]. */
  readonly nodes: readonly MetRange[];
}

/** Widens a range by values [rows, batch · samples], the samples of an image adjacent. */
function widen({ least, greatest }: MetRange, values: Float64Array): void {
  const samples = values.length / least.length;
  values.forEach((value, i) => {
    const at = Math.floor(i / samples);
    least[at] = Math.min(least[at] as number, value);
    greatest[at] = Math.max(greatest[at] as number, value);
  });
}

const emptyRange = (size: number): MetRange => ({
  least: new Float64Array(size).fill(Number.POSITIVE_INFINITY),
  greatest: new Float64Array(size).fill(Number.NEGATIVE_INFINITY),
});

/**
 * Evaluates `samples` points of each image's box and moves them `steps` times along the sign of the worst
 * margin's gradient, by half, then a quarter, … of the box. `feeds` are those of a bound problem: lower,
 * upper, labels and parameters, in float64.
 */
export async function sampleActivations(
  net: Network,
  feeds: Feeds,
  samples: number,
  steps: number,
  seed: number,
): Promise<SampledActivations> {
  const lower = feeds.lower as Float64Array;
  const upper = feeds.upper as Float64Array;
  const labels = feeds.labels as Int32Array;
  const batch = labels.length;
  const columns = batch * samples;
  const x = input('x', [featuresOf(net.input), columns], 'float64');
  const values = forward(net, parameterInputs(net, 'float64'), x);
  const rows = specificationMargins(
    { kind: 'labels', labels: input('labels', [columns], 'int32') },
    net.classes,
    'float64',
  );
  const margins = reshape(sum(mul(rows, reshape(values.at(-1) as Tensor, [net.classes, 1, columns])), [0]), [
    net.classes - 1,
    columns,
  ]);
  const [slope] = gradient(total(worstMargin(margins)), [x]);
  const outputs = Object.fromEntries(values.map((value, k) => [`node ${k}`, value]));
  const plan = createPlan([{ kind: 'whole', outputs: { ...outputs, margins, slope: slope as Tensor } }]);

  const met = {
    margins: emptyRange((net.classes - 1) * batch),
    nodes: values.map(({ shape }) => emptyRange(sizeOf(shape) / samples)),
  };
  const sampleLabels = Int32Array.from(
    { length: columns },
    (_, i) => labels[Math.floor(i / samples)] as number,
  );
  // Every other point is a corner of the box.
  let points = uniformNumbers(`points ${seed}`, lower.length * samples).map((u, i) => {
    const at = Math.floor(i / samples);
    const share = i % 2 === 0 ? u : Math.round(u);
    return (lower[at] as number) + share * ((upper[at] as number) - (lower[at] as number));
  });
  const executor = createExecutor();
  try {
    for (let step = 0; step <= steps; step++) {
      const made = (await executor.run(plan, { ...feeds, x: points, labels: sampleLabels }))
        .outputs as Record<string, Float64Array>;
      widen(met.margins, made.margins as Float64Array);
      met.nodes.forEach((range, k) => {
        widen(range, made[`node ${k}`] as Float64Array);
      });
      const direction = made.slope as Float64Array;
      points = points.map((p, i) => {
        const [l, u] = [lower[Math.floor(i / samples)] as number, upper[Math.floor(i / samples)] as number];
        return Math.min(u, Math.max(l, p - 2 ** -(step + 1) * (u - l) * Math.sign(direction[i] as number)));
      });
    }
  } finally {
    await executor.close();
  }
  return met;
}
