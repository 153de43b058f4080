import { describe, expect, test } from 'vitest';
import { architecture } from '../../network/architectures.js';
import { initialize } from '../../network/initialization.js';
import { keyOf } from '../../runtime/random/keys.js';
import { robustnessProperty } from '../property/robustness.js';
import { verify } from './verify.js';

// One call of its attack alone takes more than five seconds of a core.
const net = architecture('linear 9000, linear 9000, linear', [1, 28, 28], 10);
const parameters = initialize(net, 'kaiming', keyOf(1));
const image = Float32Array.from({ length: 784 }, (_, i) => ((i * 37) % 101) / 100);

const secondsOf = async <T>(work: Promise<T>): Promise<[T, number]> => {
  const began = performance.now();
  const result = await work;
  return [result, (performance.now() - began) / 1000];
};

describe('a call that outlasts the limit', () => {
  test.each([false, true])(
    'is ended in its middle: the answer comes in time, sound: %s',
    async (sound) => {
      const property = robustnessProperty(image, 0, { epsilon: 1e-4, clip: true }, 10);
      const [{ verdict }, seconds] = await secondsOf(
        verify({ network: net, parameters, property, timeoutSeconds: 2, threads: 1, sound }),
      );
      expect(verdict).toBe('timeout');
      expect(seconds).toBeLessThan(3);
    },
    120_000,
  );
});
