import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Split } from '../data/dataset.js';
import { evaluate, input } from '../graph/index.js';
import { architecture } from '../network/architectures.js';
import { batchForward, combinedStatistics } from '../network/batch-statistics.js';
import { batchNormNodes, type ChannelStatistics } from '../network/folding.js';
import { initialize } from '../network/initialization.js';
import { logits, parameterInputs } from '../network/network.js';
import { flatten, parameterLayout, views } from '../network/parameters.js';
import { createPool } from '../runtime/pool/pool.js';
import { keyOf } from '../runtime/random/keys.js';
import { normalNumbers, uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { createDeployedNetwork } from './deployed-network.js';

const pool = createPool(2);
afterAll(() => pool.close());

const COUNT = 11;
const [channels, height, width] = [1, 8, 8];
const features = channels * height * width;
const network = architecture('cnn3-bn', [channels, height, width], 3, { mean: [0.5], std: [0.3] });
const layout = parameterLayout(network);
const arrays = initialize(network, 'kaiming', keyOf(1));
// Scales and shifts that are not their first values.
for (const node of batchNormNodes(network))
  for (const name of [`${node}.weight`, `${node}.bias`])
    arrays[name] = Float32Array.from(normalNumbers(name, arrays[name]?.length as number));
const theta = flatten(arrays, layout);

const images = Uint8Array.from(uniformNumbers('images', COUNT * features), (u) => Math.floor(256 * u));
const train: Split = { images, labels: new Uint8Array(COUNT), count: COUNT };

/** All images as one batch, by the plain evaluator. */
function whole() {
  const x = input('x', [features, COUNT], 'float64');
  const forward = batchForward(
    network,
    parameterInputs(network, 'float64'),
    x,
    input('present', [1, COUNT], 'float64'),
  );
  const columns = Float64Array.from(
    { length: features * COUNT },
    (_, i) => (images[(i % COUNT) * features + Math.floor(i / COUNT)] as number) / 255,
  );
  const feeds = { ...arrays, x: columns, present: new Float64Array(COUNT).fill(1) };
  return { forward, feeds };
}

describe('statistics of all images', () => {
  it.each([2, 4, 11, 64])(
    'are those of all training images as one batch, in micro-batches of %i',
    async (microBatch) => {
      const { forward, feeds } = whole();
      const found = await createDeployedNetwork({ network, train, microBatch, pool }).statistics(theta);
      expect([...found.keys()]).toEqual([...forward.statistics.keys()]);
      for (const [node, { mean, variance }] of forward.statistics) {
        const [expectedMean, expectedVariance] = evaluate([mean, variance], feeds) as [
          Float64Array,
          Float64Array,
        ];
        expect(distance(found.get(node)?.mean ?? [], expectedMean)).toBeLessThan(1e-5);
        expect(distance(found.get(node)?.variance ?? [], expectedVariance)).toBeLessThan(1e-5);
      }
    },
  );

  it('make the folded network compute what the network does on that batch', async () => {
    const { forward, feeds } = whole();
    const deployed = createDeployedNetwork({ network, train, microBatch: 4, pool });
    const x = input('x', [features, COUNT], 'float64');
    const folded = views(await deployed.folded(theta), deployed.layout);
    const plain = logits(deployed.network, parameterInputs(deployed.network, 'float64'), x);
    const [expected] = evaluate([forward.values.at(-1) as typeof x], feeds);
    const [got] = evaluate([plain], { x: feeds.x, ...folded });
    expect(distance(got as Float64Array, expected as Float64Array)).toBeLessThan(1e-4);
  });

  it('of parts put together are those of the whole, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 5 }), {
          minLength: 1,
          maxLength: 4,
        }),
        (parts) => {
          const of = (values: readonly number[]): ChannelStatistics<number[]> => {
            const mean = values.reduce((a, b) => a + b, 0) / values.length;
            return {
              mean: [mean],
              variance: [values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length],
            };
          };
          const { mean, variance } = combinedStatistics(
            parts.map((values) => ({ ...of(values), images: values.length })),
          );
          const expected = of(parts.flat());
          expect(mean[0]).toBeCloseTo(expected.mean[0] as number, 9);
          expect(variance[0]).toBeCloseTo(expected.variance[0] as number, 7);
        },
      ),
    );
  });

  it('are not needed without batch normalisation: θ stays as it is', async () => {
    const plain = architecture('fc-small', [channels, height, width], 3);
    const own = flatten(initialize(plain, 'kaiming', keyOf(1)), parameterLayout(plain));
    const deployed = createDeployedNetwork({ network: plain, train, microBatch: 4, pool });
    expect(deployed.network).toBe(plain);
    expect(await deployed.folded(own)).toBe(own);
  });
});
