/**
 * Unstable neurons: ReLUs whose sign interval bounds leave open over the ball, l < 0 < u. Only they are
 * relaxed, so a bound is as tight as they are few.
 */
import { input, type Tensor, transpose } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { INPUT, type Network, parameterInputs } from '../../network/network.js';
import type { ParameterArrays } from '../../network/parameters.js';
import { inputBox } from '../../objective/input-box.js';
import { intervalBounds } from '../../relaxation/interval.js';
import type { Bounds } from '../../relaxation/relaxation.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPlan } from '../../runtime/plan/compile.js';

/** Neurons of one ReLU layer, on average over images. */
export interface LayerActivity {
  readonly neurons: number;
  /** l ≥ 0. */
  readonly active: number;
  /** u ≤ 0. */
  readonly inactive: number;
  /** l < 0 < u. */
  readonly unstable: number;
}

/** Counts neurons by what interval bounds over a ball say of them. */
export function activityOf(
  lower: ArrayLike<number>,
  upper: ArrayLike<number>,
  images: number,
): LayerActivity {
  let [active, inactive] = [0, 0];
  for (let i = 0; i < lower.length; i++) {
    if ((lower[i] as number) >= 0) active++;
    else if ((upper[i] as number) <= 0) inactive++;
  }
  const unstable = lower.length - active - inactive;
  const mean = (count: number): number => count / images;
  return {
    neurons: mean(lower.length),
    active: mean(active),
    inactive: mean(inactive),
    unstable: mean(unstable),
  };
}

/**
 * Activity of each ReLU layer over B(x, ε), by IBP, averaged over images.
 * @param images [count, features], pixels in [0, 1]
 */
export async function reluActivity(
  network: Network,
  parameters: ParameterArrays,
  images: Float32Array,
  { epsilon, clip }: { readonly epsilon: number; readonly clip: boolean },
): Promise<LayerActivity[]> {
  const features = featuresOf(network.input);
  const count = images.length / features;
  const box = inputBox(transpose(input('images', [count, features])), input('epsilon', []), clip);
  const bounds = intervalBounds(network, parameterInputs(network), box);
  const before = network.nodes.flatMap(({ layer, inputs: [first = INPUT] }): Bounds[] => {
    if (layer.kind !== 'relu') return [];
    return [first === INPUT ? box : (bounds[first] as Bounds)];
  });
  const outputs: Record<string, Tensor> = {};
  for (const [k, { lower, upper }] of before.entries())
    Object.assign(outputs, { [`lower ${k}`]: lower, [`upper ${k}`]: upper });
  const executor = createExecutor();
  try {
    const feeds = { ...parameters, images, epsilon: Float32Array.of(epsilon) };
    const found = (await executor.run(createPlan([{ kind: 'whole', outputs }]), feeds)).outputs;
    const numbers = (name: string) => found[name] as Float32Array;
    return before.map((_, k) => activityOf(numbers(`lower ${k}`), numbers(`upper ${k}`), count));
  } finally {
    await executor.close();
  }
}
