import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate, input } from '../../graph/index.js';
import { normalNumbers } from '../../testing/numbers.js';
import { runProgram } from '../../testing/operator-check.js';
import { globalNorm } from './gradient-clip.js';
import { TINY, vectorNorm } from './vector-norm.js';

const ofGraph = (x: ArrayLike<number>): number =>
  evaluate([vectorNorm(input('x', [x.length], 'float64'))], { x })[0]?.[0] as number;
const inFloat32 = async (x: Float32Array): Promise<number> =>
  Number((await runProgram({ norm: vectorNorm(input('x', [x.length])) }, { x })).norm?.[0]);

describe('the norm of a vector as a graph', () => {
  it('is √Σx², whatever the length', () => {
    const numbers = fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true, min: -1e6, max: 1e6 });
    fc.assert(
      fc.property(numbers, (x) => {
        expect(Math.abs(ofGraph(x) - globalNorm(x))).toBeLessThanOrEqual(1e-12 * globalNorm(x) + TINY);
      }),
    );
    for (const size of [1023, 1024, 1025, 5000]) {
      const x = Float32Array.from(normalNumbers(`x ${size}`, size));
      expect(Math.abs(ofGraph(x) / globalNorm(x) - 1)).toBeLessThan(1e-12);
    }
  });

  it('neither overflows nor vanishes in float32 where squares would', async () => {
    for (const scale of [1e-25, 1, 1e25]) {
      const x = Float32Array.from(normalNumbers('x', 3000), (value) => scale * value);
      expect(Math.abs((await inFloat32(x)) / globalNorm(x) - 1)).toBeLessThan(1e-6);
    }
    expect(await inFloat32(new Float32Array(7))).toBe(0);
  });

  it('is not finite where an entry is not', async () => {
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const x = new Float32Array(2000).fill(1);
      x[1234] = odd;
      expect(Number.isFinite(await inFloat32(x))).toBe(false);
    }
  });
});
