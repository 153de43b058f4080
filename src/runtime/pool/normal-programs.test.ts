import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { deviceForTests, expectOnDevice } from '../../testing/devices.js';
import { normalNumbers } from '../../testing/numbers.js';
import { distance } from '../../testing/operator-check.js';
import type { DeviceArray } from '../device/array.js';
import { createExecutor } from '../execution/executor.js';
import { deriveKey, type Key, keyOf } from '../random/keys.js';
import { accumulateNormals, fillNormals } from '../random/normals.js';
import { normalPrograms } from './normal-programs.js';
import { keptNormals } from './normals.js';

const executor = createExecutor();
afterAll(() => executor.close());
const keysOf = (call: number, count: number): Key[] =>
  Array.from({ length: count }, (_, i) => deriveKey(keyOf('weighted'), call, i));
const weightsOf = (name: string, count: number): Float32Array =>
  Float32Array.from(normalNumbers(name, count));

describe('normal numbers made where programs run', () => {
  it('are the host’s, and so are their weighted sums, however many calls a run makes them for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(1, 2 ** 17, 2 ** 30),
        fc.boolean(),
        async (keys, size, count, bytes, both) => {
          const calls = Array.from({ length: count }, (_, c) => keysOf(c, keys));
          const programs = normalPrograms(keys, size, count, bytes);
          const drawn = keptNormals(executor);
          for (let call = 0; call < count; call++) {
            const z = (await drawn.of(programs, calls, call)) as Float32Array;
            const expected = new Float32Array(size);
            for (const [i, key] of (calls[call] as Key[]).entries()) {
              fillNormals(key, expected);
              expect(distance(z.slice(i * size, (i + 1) * size), expected)).toBeLessThan(1e-5);
            }
          }
          const weights = ['first', 'second'].map((name) =>
            calls.map((_, c) => weightsOf(`${name} ${c}`, keys)),
          );
          const [first, second] = weights as [Float32Array[], Float32Array[]];
          const made = await drawn.weigh({ programs, calls, first, second: both ? second : undefined });
          const flat = (values: readonly Float32Array[]) =>
            Float64Array.from(values.flatMap((each) => [...each]));
          const expected = accumulateNormals(
            calls.flat(),
            flat(first),
            both ? flat(second) : undefined,
            0,
            size,
          );
          expect(distance(made.first, expected.first)).toBeLessThan(1e-5);
          expect(made.second === undefined).toBe(!both);
          if (made.second) expect(distance(made.second, expected.second as Float64Array)).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('are made once for as many calls as fit the memory', () => {
    expect(normalPrograms(4, 1000, 9, 28 * 4 * 1000 * 3).calls).toBe(3);
    expect(normalPrograms(4, 1000, 9, 1).calls).toBe(1);
    expect(normalPrograms(4, 1000, 2, 2 ** 40).calls).toBe(2);
    expect(() => normalPrograms(65, 10, 1, 1)).toThrow(/expected 1 to 64 keys/);
  });

  it('are refused for calls of other sizes', async () => {
    await expect(keptNormals(executor).of(normalPrograms(3, 5, 1, 1), [keysOf(0, 2)], 0)).rejects.toThrow(
      'expected 3 keys in every call, got 2 in 1',
    );
  });
});

const device = await deviceForTests();

describe.skipIf(device === undefined)(`normal numbers on ${device}`, () => {
  it('leave no operator to the CPU', async () => {
    const { make, weigh, weighBoth } = normalPrograms(3, 100, 2, 2 ** 30);
    for (const plan of [make, weigh, weighBoth])
      await expectOnDevice(device as NonNullable<typeof device>, plan);
  }, 300_000);

  it('stay there until they are weighed, and are made again where another run took their place', async () => {
    const there = createExecutor({ device });
    const drawn = keptNormals(there);
    const calls = [keysOf(0, 2), keysOf(1, 2)];
    const weights = calls.map((_, c) => weightsOf(`first ${c}`, 2));
    const expected = accumulateNormals(
      calls.flat(),
      Float64Array.from(weights.flatMap((each) => [...each])),
      undefined,
      0,
      50,
    );
    for (const bytes of [1, 2 ** 30]) {
      const programs = normalPrograms(2, 50, 2, bytes);
      const arrays = [
        await drawn.of(programs, calls, 0),
        await drawn.of(programs, calls, 1),
      ] as DeviceArray[];
      expect(arrays.map(({ size }) => size)).toEqual([100, 100]);
      expect(
        distance((await drawn.weigh({ programs, calls, first: weights })).first, expected.first),
      ).toBeLessThan(1e-5);
    }
    await there.close();
  }, 300_000);
});
