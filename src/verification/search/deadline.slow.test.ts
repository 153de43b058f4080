import { describe, expect, test } from 'vitest';
import { architecture } from '../../network/architectures.js';
import { initialize } from '../../network/initialization.js';
import { parameterName } from '../../network/network.js';
import { keyOf } from '../../runtime/random/keys.js';
import { robustnessProperty } from '../property/robustness.js';
import { verify } from './verify.js';

// One call of its attack alone takes more than five seconds of a core.
const net = architecture('linear 9000, linear 9000, linear', [1, 28, 28], 10);
const parameters = initialize(net, 'kaiming', keyOf(1));
const image = Float32Array.from({ length: 784 }, (_, i) => ((i * 37) % 101) / 100);

/** The class of an image, by plain loops: another label is refuted at once. */
function labelOf(x: Float32Array): number {
  const layers = [...net.nodes.keys()].filter((node) => net.nodes[node]?.layer.kind === 'affine');
  const outputs = layers.reduce<Float32Array>((from, node, k) => {
    const [weight, bias] = ['weight', 'bias'].map((part) => parameters[parameterName(node, part)]) as [
      Float32Array,
      Float32Array,
    ];
    return bias.map((b, row) => {
      let sum = b;
      for (let i = 0, at = row * from.length; i < from.length; i++, at++)
        sum += (weight[at] as number) * (from[i] as number);
      return k < layers.length - 1 ? Math.max(sum, 0) : sum;
    });
  }, x);
  return outputs.indexOf(Math.max(...outputs));
}

const secondsOf = async <T>(work: Promise<T>): Promise<[T, number]> => {
  const began = performance.now();
  const result = await work;
  return [result, (performance.now() - began) / 1000];
};

describe('a call that outlasts the limit', () => {
  test.each([false, true])(
    'is ended in its middle: the answer comes in time, sound: %s',
    async (sound) => {
      const property = robustnessProperty(image, labelOf(image), { epsilon: 1e-4, clip: true }, 10);
      const [{ verdict }, seconds] = await secondsOf(
        verify({ network: net, parameters, property, timeoutSeconds: 2, threads: 1, sound }),
      );
      expect(verdict).toBe('timeout');
      expect(seconds).toBeLessThan(3);
    },
    120_000,
  );
});
