import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EncodedProgram, encodeProgram, evaluate, input } from '../../graph/index.js';
import { deviceForTests } from '../../testing/devices.js';
import { normalNumbers } from '../../testing/numbers.js';
import type { Device } from '../device/device.js';
import { openSession } from '../execution/session.js';
import { deriveKey, type Key, keyOf } from './keys.js';
import { normalsOf, normalsOfWords, perturbed } from './normal-graph.js';
import { fillNormals, perturb } from './normals.js';
import { keyWords } from './threefry-graph.js';

const keys: readonly Key[] = Array.from({ length: 4 }, (_, i) => deriveKey(keyOf('normal graph'), i, 0));

async function run(
  program: EncodedProgram,
  feeds: Record<string, Float32Array | Int32Array>,
  device: Device = 'cpu',
): Promise<Float32Array> {
  const session = await openSession(program, { device });
  try {
    return (await session.run(feeds)).z as Float32Array;
  } finally {
    await session.close();
  }
}

const onHost = (count: number, start: number): Float32Array => {
  const all = new Float32Array(keys.length * count);
  for (const [m, key] of keys.entries()) fillNormals(key, all.subarray(m * count, (m + 1) * count), start);
  return all;
};

/** Greatest difference in units of the last of 24 binary digits of what is expected. */
function unitsOff(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  let worst = got.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < expected.length; i++) {
    const unit = 2 ** (Math.floor(Math.log2(Math.abs(expected[i] as number))) - 23);
    const off = Math.abs((got[i] as number) - (expected[i] as number)) / unit;
    if (!(off <= worst)) worst = Number.isNaN(off) ? Number.POSITIVE_INFINITY : off;
  }
  return worst;
}

/** Extreme words, and those on both sides of where the approximations change. */
const CHANGE = Math.floor(0.425 * 2 ** 32 - 0.5);
const special = Int32Array.of(
  0,
  -1,
  1,
  -2,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 31 - 2,
  CHANGE,
  CHANGE + 1,
  -1 - CHANGE,
  -2 - CHANGE,
  2 ** 24,
  2 ** 24 + 1,
);

describe('normal numbers as graph operators', () => {
  it('are the host’s to 8 units in the last place, tails included', async () => {
    const count = 50_000;
    const z = await run(encodeProgram({ z: normalsOf(input('keys', [4, 2], 'int32'), count, 3) }), {
      keys: keyWords(keys),
    });
    expect(z.reduce((a, b) => Math.max(a, Math.abs(b)), 0)).toBeGreaterThan(4);
    expect(unitsOff(z, onHost(count, 3))).toBeLessThanOrEqual(8);
  });

  it('of the most extreme words and where the approximations meet are those of float64', async () => {
    const words = input('words', [special.length], 'int32');
    const z = await run(encodeProgram({ z: normalsOfWords(words) }), { words: special });
    expect(
      unitsOff(z, evaluate([normalsOfWords(words)], { words: special })[0] as Float64Array),
    ).toBeLessThanOrEqual(8);
    expect(z[0]).toBe(-(z[1] as number));
    expect(z[4]).toBeCloseTo(6.338, 3);
    expect(z[5]).toBe(-(z[4] as number));
    expect((z[8] as number) - (z[7] as number)).toBeLessThan(1e-6);
  });

  it('are so in the plain evaluation but for the rounding of the coefficients', () => {
    const count = 3000;
    const [z] = evaluate([normalsOf(input('keys', [4, 2], 'int32'), count)], { keys: keyWords(keys) });
    expect(unitsOff(z as Float64Array, onHost(count, 0))).toBeLessThanOrEqual(3);
  });
});

describe('perturbed parameters', () => {
  it('are θ + σ∘z and θ − σ∘z of every key, one σ or one per coordinate, from any coordinate on', async () => {
    const size = 300;
    const theta = Float32Array.from(normalNumbers('θ', size));
    const spread = Float32Array.from(normalNumbers('σ', size), Math.abs);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 5000 }),
        fc.constantFrom(Float32Array.of(0.25), spread),
        async (start, sigma) => {
          const shape = sigma.length === 1 ? [] : [size];
          const z = perturbed(
            input('theta', [size]),
            input('keys', [4, 2], 'int32'),
            input('sigma', shape),
            start,
          );
          expect(z.shape).toEqual([8, size]);
          const got = await run(encodeProgram({ z }), { theta, keys: keyWords(keys), sigma });
          // The host draws coordinate `start` after all that come before it.
          const padded = (values: Float32Array) => Float32Array.of(...new Float32Array(start), ...values);
          const expected = [1, -1].flatMap((sign) =>
            keys.map((key) => {
              const out = new Float32Array(start + size);
              perturb(
                padded(theta),
                key,
                sigma.length === 1 ? (sigma[0] as number) : padded(sigma),
                sign as 1 | -1,
                out,
              );
              return out.subarray(start);
            }),
          );
          expected.forEach((values, m) => {
            values.forEach((value, i) => {
              expect(Math.abs((got[m * size + i] as number) - value)).toBeLessThan(3e-6);
            });
          });
        },
      ),
      { numRuns: 4 },
    );
  });
});

const device = await deviceForTests();

describe.skipIf(device === undefined)(`normal numbers on ${device}`, () => {
  it('are the host’s to 32 units in the last place, no operator left to the CPU', async () => {
    const z = await run(
      encodeProgram({ z: normalsOf(input('keys', [4, 2], 'int32'), 2000) }),
      { keys: keyWords(keys) },
      device,
    );
    expect(unitsOff(z, onHost(2000, 0))).toBeLessThanOrEqual(32);
  }, 300_000);
});
