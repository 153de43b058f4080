import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceForTests, expectOnDevice } from '../testing/devices.js';
import { normalNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { createExecutor } from './executor.js';
import { accumulateNormals } from './normals.js';
import { deriveKey, type Key, keyOf } from './random.js';
import { accumulateOnDevice, weightedNormals } from './weighted-normals.js';

const keysOf = (count: number): Key[] => Array.from({ length: count }, (_, i) => deriveKey(keyOf('weighted'), i, 0));
const weightsOf = (name: string, count: number): Float64Array => Float64Array.from(normalNumbers(name, count));

describe('weighted normals made where programs run', () => {
  it('are the host’s sums to float32, however many keys and coordinates a run takes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 2 ** 31 }),
        fc.boolean(),
        fc.constantFrom(1, 30_000, 2 ** 20),
        async (count, size, half, withSecond, bytes) => {
          const keys = keysOf(count);
          const [first, second] = [weightsOf('first', count), withSecond ? weightsOf('second', count) : undefined];
          const executor = createExecutor();
          // At one byte a run takes two coordinates: some hundred runs.
          const program = weightedNormals(count, Math.min(size, bytes === 1 ? 60 : size), { withSecond, bytes });
          const got = await accumulateOnDevice(executor.run, program, keys, first, second, 2 * half, size).finally(() => executor.close());
          const expected = accumulateNormals(keys, first, second, 2 * half, size);
          expect(distance(got.first, expected.first)).toBeLessThan(3e-6);
          expect(got.second === undefined).toBe(!withSecond);
          if (got.second) expect(distance(got.second, expected.second as Float64Array)).toBeLessThan(3e-6);
        },
      ),
      { numRuns: 6 },
    );
  });

  it('take runs that fit the memory given', () => {
    const [small, large] = [weightedNormals(512, 4_000_000, { bytes: 2 ** 24 }), weightedNormals(512, 4_000_000, { bytes: 2 ** 30 })];
    for (const [program, bytes] of [
      [small, 2 ** 24],
      [large, 2 ** 30],
    ] as const) {
      expect(program.members * program.coordinates * 4).toBeLessThan(bytes / 4);
      expect(program.coordinates % 2).toBe(0);
    }
    expect([small.members, large.members]).toEqual([64, 64]);
    expect(large.coordinates).toBeGreaterThan(60 * small.coordinates);
    expect(weightedNormals(3, 7)).toMatchObject({ members: 3, coordinates: 8 });
  });

  it('need a weight for each key, and second weights exactly where the program has them', async () => {
    const executor = createExecutor();
    const program = weightedNormals(2, 4);
    await expect(accumulateOnDevice(executor.run, program, keysOf(2), new Float64Array(1), undefined, 0, 4)).rejects.toThrow(
      /expected 2 weights, one per key, got 1/,
    );
    await expect(accumulateOnDevice(executor.run, program, keysOf(2), new Float64Array(2), new Float64Array(2), 0, 4)).rejects.toThrow(
      /expected no second weights/,
    );
    await expect(accumulateOnDevice(executor.run, program, keysOf(2), new Float64Array(2), undefined, 1, 4)).rejects.toThrow(
      /from an even one on, got 4 from 1/,
    );
    await executor.close();
  });
});

const device = await deviceForTests();

describe.skipIf(device === undefined)(`weighted normals on ${device}`, () => {
  it('leave no operator to the CPU', async () => {
    await expectOnDevice(device as NonNullable<typeof device>, weightedNormals(3, 100, { withSecond: true }).plan);
  }, 300_000);
});
