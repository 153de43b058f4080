/**
 * Unstable neurons: ReLUs whose sign interval bounds leave open over the ball, l < 0 < u. Only they are
 * relaxed, so a bound is as tight as they are few.
 */
import { type HostData, input, type Tensor, transpose } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { INPUT, type Network, parameterInputs } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import { inputBox } from '../objective/input-box.js';
import { intervalBounds } from '../relaxation/interval.js';
import type { Bounds } from '../relaxation/relaxation.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { createPlan } from '../runtime/plan/compile.js';

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

/** Interval bounds before each ReLU layer over a box, as outputs of a plan for `activitiesOf`. */
export function reluBounds(network: Network, box: Bounds): Record<string, Tensor> {
  const bounds = intervalBounds(network, parameterInputs(network), box);
  const before = network.nodes.flatMap(({ layer, inputs: [first = INPUT] }): Bounds[] => {
    if (layer.kind !== 'relu') return [];
    return [first === INPUT ? box : (bounds[first] as Bounds)];
  });
  return Object.fromEntries(
    before.flatMap(({ lower, upper }, k) => [
      [`lower ${k}`, lower],
      [`upper ${k}`, upper],
    ]),
  );
}

/** Activity of each ReLU layer from the numbers of `reluBounds` over balls around `images` images. */
export function activitiesOf(found: Readonly<Record<string, HostData>>, images: number): LayerActivity[] {
  const numbers = (name: string) => found[name] as Float32Array;
  const layers = Object.keys(found).filter((name) => name.startsWith('lower ')).length;
  return Array.from({ length: layers }, (_, k) =>
    activityOf(numbers(`lower ${k}`), numbers(`upper ${k}`), images),
  );
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
  const outputs = reluBounds(network, box);
  const executor = createExecutor();
  try {
    const feeds = { ...parameters, images, epsilon: Float32Array.of(epsilon) };
    const found = (await executor.run(createPlan([{ kind: 'whole', outputs }]), feeds)).outputs;
    return activitiesOf(found, count);
  } finally {
    await executor.close();
  }
}
