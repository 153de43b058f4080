import { afterAll, describe, expect, test } from 'vitest';
import { reluActivity } from '../evaluation/neuron-activity.js';
import { initialize } from '../network/initialization.js';
import { flatten, parameterLayout } from '../network/parameters.js';
import { createPool } from '../runtime/pool/pool.js';
import { keyOf } from '../runtime/random/keys.js';
import { randomLabels, uniformNumbers } from '../testing/numbers.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { unstableShares } from './validation.js';

const COUNT = 5;
const pool = createPool(2);
afterAll(() => pool.close());

const bytes = Uint8Array.from(uniformNumbers('unstable images', COUNT * 16), (value) => 255 * value);
const split = { images: bytes, labels: randomLabels('unstable labels', COUNT, 3), count: COUNT };
const layout = parameterLayout(smallNetwork);

describe('shares of unstable neurons', () => {
  test.each([0, 0.02, 0.3])('are those of one executor at the same θ, ε = %f', async (epsilon) => {
    const ball = { epsilon, clip: true };
    const shares = unstableShares(pool, smallNetwork, split, ball);
    for (const seed of [1, 2]) {
      const parameters = initialize(smallNetwork, 'kaiming', keyOf(seed));
      const pixels = Float32Array.from(bytes, (byte) => byte / 255);
      const expected = await reluActivity(smallNetwork, parameters, pixels, ball);
      expect(await shares?.(flatten(parameters, layout), layout)).toEqual(
        expected.map(({ unstable, neurons }) => unstable / neurons),
      );
    }
  });

  test('are in [0, 1], and there are none where there is no ReLU', async () => {
    const found = await unstableShares(pool, smallNetwork, split, { epsilon: 1, clip: true })?.(
      flatten(initialize(smallNetwork, 'kaiming', keyOf(3)), layout),
      layout,
    );
    expect(found?.every((share) => share >= 0 && share <= 1)).toBe(true);
    const linear = { ...smallNetwork, nodes: smallNetwork.nodes.slice(0, 1) };
    expect(unstableShares(pool, linear, split, { epsilon: 0.1, clip: true })).toBeUndefined();
  });
});
