import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { footprint } from './footprint.js';
import { addAll, broadcastTo, constant, gemm, input, mul, reshape, tanh, total } from './index.js';
import { lift } from './lift.js';
import { simplify } from './simplify.js';
import type { Tensor } from './tensor.js';

const n = 1000;
const bytes = 4 * n;
/** tanh of tanh of … x. */
const chain = (x: Tensor, length: number): Tensor => Array.from({ length }).reduce<Tensor>((y) => tanh(y), x);

describe('the footprint of a program', () => {
  it('is, for a chain of any length, what goes into a link, what comes out, and the program’s input', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 40 }), (length) => {
        expect(footprint([chain(input('x', [n]), length)])).toEqual({ peak: 3 * bytes, largest: bytes });
      }),
    );
  });

  it('holds what is needed later: k values until they are added up', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20 }), (k) => {
        const x = input('x', [n]);
        const sum = addAll(Array.from({ length: k }, (_, i) => mul(x, i + 2)));
        // x, the k values, their sum, and k scalars.
        expect(footprint([sum]).peak).toBe((k + 2) * bytes + 4 * k);
      }),
    );
  });

  it('is that of going depth first: of two chains the first is over before the second begins', () => {
    const x = input('x', [n]);
    const links: [Tensor, Tensor][] = [[tanh(x), mul(x, 2)]];
    // Made in turns, link by link.
    for (let i = 0; i < 5; i++)
      links.push((links.at(-1) as [Tensor, Tensor]).map((y) => tanh(y)) as [Tensor, Tensor]);
    const [first, second] = links.at(-1) as [Tensor, Tensor];
    // x, the end of one chain, two links of the other, and a scalar.
    expect(footprint([mul(first, second)]).peak).toBe(4 * bytes + 4);
  });

  it('depends on which operand was made last: it is computed first', () => {
    const x = input('x', [n]);
    const smallLast = mul(chain(x, 5), total(chain(mul(x, 2), 5)));
    const largeLast = mul(total(chain(mul(x, 2), 5)), chain(x, 5));
    // While the other is computed, a vector waits instead of a number.
    expect(footprint([largeLast]).peak - footprint([smallLast]).peak).toBe(bytes - 4);
  });

  it('counts a value once, however often it is reshaped, and to the last use of its last shape', () => {
    const x = input('x', [n]);
    const y = reshape(reshape(tanh(x), [10, n / 10]), [n / 10, 10]);
    expect(footprint([y]).peak).toBe(2 * bytes);
    const late = mul(reshape(chain(x, 5), [10, n / 10]), reshape(tanh(x), [10, n / 10]));
    const plain = mul(chain(x, 5), tanh(x));
    expect(footprint(simplify([late])).peak).toBe(footprint(simplify([plain])).peak);
  });

  it('has constants, inputs and outputs to the end', () => {
    const [a, b] = [input('a', [10, 20]), constant(new Float32Array(200), [20, 10])];
    const product = gemm(a, b);
    expect(footprint([product]).peak).toBe(4 * (200 + 200 + 100));
    const [early, late] = [tanh(a), chain(a, 6)];
    expect(footprint([late, early]).peak).toBe(4 * (200 + 200 + 2 * 200));
    expect(footprint([chain(early, 5), early]).peak).toBe(4 * (200 + 200 + 2 * 200));
  });

  it('has what is computed of constants alone from beginning to end, but not what that was computed of', () => {
    const x = input('x', [n]);
    const spread = tanh(broadcastTo(constant(0.5), [n]));
    expect(footprint([mul(chain(x, 5), spread)]).peak).toBe(4 * bytes);
  });

  it('knows how large numbers are', () => {
    expect(footprint([tanh(input('x', [n], 'float64'))])).toEqual({ peak: 16 * n, largest: 8 * n });
  });

  it('of a population grows by the same for every member', () => {
    const [w, x] = [input('w', [30, 20]), input('x', [20, 50])];
    const loss = total(tanh(gemm(w, x)));
    const of = (members: number) => {
      const lifted = lift(simplify([loss]), {
        members,
        inputs: new Map([['w', input('w', [members, 30, 20])]]),
      });
      return footprint(lifted.map(({ tensor }) => tensor)).peak;
    };
    const perMember = of(3) - of(2);
    expect(perMember).toBeGreaterThanOrEqual(4 * (600 + 2 * 1500));
    for (const members of [4, 10, 100]) expect(of(members)).toBe(of(2) + (members - 2) * perMember);
  });
});
