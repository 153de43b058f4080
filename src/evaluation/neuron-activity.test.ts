import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { input, transpose } from '../graph/index.js';
import { initialize } from '../network/initialization.js';
import { forward, parameterInputs } from '../network/network.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { createPlan } from '../runtime/plan/compile.js';
import { keyOf } from '../runtime/random/keys.js';
import { uniformNumbers } from '../testing/numbers.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { activityOf, reluActivity } from './neuron-activity.js';

describe('activity of neurons', () => {
  const images = Float32Array.from(uniformNumbers('report images', 3 * 16));
  const parameters = initialize(smallNetwork, 'kaiming', keyOf(3));

  test('in a ball of radius 0 is that of the image: none unstable, active as a forward pass says', async () => {
    const layers = await reluActivity(smallNetwork, parameters, images, { epsilon: 0, clip: true });
    const values = forward(smallNetwork, parameterInputs(smallNetwork), transpose(input('images', [3, 16])));
    const hidden = smallNetwork.nodes.flatMap(({ layer, inputs }) =>
      layer.kind === 'relu' ? [values[inputs[0] as number] as (typeof values)[number]] : [],
    );
    const executor = createExecutor();
    const outputs = Object.fromEntries(hidden.map((tensor, k) => [`h${k}`, tensor]));
    const found = await executor.run(createPlan([{ kind: 'whole', outputs }]), { ...parameters, images });
    await executor.close();
    expect(layers).toHaveLength(hidden.length);
    layers.forEach(({ active, unstable }, k) => {
      const positive = Array.from(found.outputs[`h${k}`] as Float32Array).filter((value) => value > 0).length;
      expect(active * 3).toBeCloseTo(positive, 6);
      expect(unstable).toBe(0);
    });
  });

  test('grows unstable with the ball', async () => {
    const unstable = async (epsilon: number) =>
      (await reluActivity(smallNetwork, parameters, images, { epsilon, clip: true })).map(
        (layer) => layer.unstable,
      );
    const [small, large] = [await unstable(0.01), await unstable(0.3)];
    for (const [k, count] of small.entries()) expect(count).toBeLessThanOrEqual(large[k] as number);
    expect(large.some((count) => count > 0)).toBe(true);
  });

  test('counts every neuron once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ noNaN: true }), fc.double({ noNaN: true })), { minLength: 1 }),
        (pairs) => {
          const [lower, upper] = [pairs.map((p) => Math.min(...p)), pairs.map((p) => Math.max(...p))];
          const { neurons, active, inactive, unstable } = activityOf(lower, upper, 1);
          expect(active + inactive + unstable).toBe(neurons);
          expect(unstable).toBe(pairs.filter((p) => Math.min(...p) < 0 && Math.max(...p) > 0).length);
        },
      ),
    );
  });
});
