import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBoxSearch } from './box-search.js';

const small = fc.integer({ min: -3, max: 3 });
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('below', 'above'), input: fc.nat(2), bound: small }),
  fc.record({ kind: fc.constantFrom('mark', 'restore', 'box') }),
);

describe('the box of a search', () => {
  it('is at every moment what the bounds on the path make it, and equal boxes are one object', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const search = createBoxSearch(3);
        for (const i of [0, 1, 2]) {
          search.below(i, 5);
          search.above(i, -5);
        }
        let [lower, upper] = [
          [-5, -5, -5],
          [5, 5, 5],
        ];
        const marks: { mark: number; lower: number[]; upper: number[] }[] = [];
        const known = new Map<string, object>();
        for (const { kind, ...at } of steps) {
          if ('input' in at) {
            const { input, bound } = at;
            if (kind === 'below') upper = upper.with(input, Math.min(upper[input] as number, bound));
            else lower = lower.with(input, Math.max(lower[input] as number, bound));
            const whole = search[kind as 'below' | 'above'](input, bound);
            if (lower[input] !== undefined && (lower[input] as number) <= (upper[input] as number))
              expect(whole).toBe(true);
          } else if (kind === 'mark') marks.push({ mark: search.mark(), lower, upper });
          else if (kind === 'restore') {
            const last = marks.pop();
            if (last === undefined) continue;
            search.restore(last.mark);
            ({ lower, upper } = last);
          } else {
            const { box } = search.box();
            expect([[...box.lower], [...box.upper]]).toEqual([lower, upper]);
            const text = `${lower} ${upper}`;
            expect(known.get(text) ?? box).toBe(box);
            known.set(text, box);
          }
        }
        expect(search.boxes).toBe(known.size);
      }),
      { numRuns: 500 },
    );
  });

  it('names an input without a finite bound as long as there is one', () => {
    const search = createBoxSearch(2);
    search.below(0, 1);
    expect(search.unbounded()).toEqual({ input: 0, side: 'lower' });
    search.above(0, 0);
    search.below(1, 1);
    const mark = search.mark();
    search.above(1, 0);
    expect(search.unbounded()).toBeUndefined();
    search.restore(mark);
    expect(search.unbounded()).toEqual({ input: 1, side: 'lower' });
    expect(search.below(1, Number.NEGATIVE_INFINITY)).toBe(false);
  });

  it.each([
    ['lower', 'above'],
    ['upper', 'below'],
  ] as const)('takes no box for another whose hash is the same: %s ends', (end, tighten) => {
    // Of 300,000 sums of 32 bits, about ten pairs are equal.
    const search = createBoxSearch(2);
    for (const i of [0, 1]) {
      search.above(i, -1);
      search.below(i, 1);
    }
    const start = search.mark();
    search.below(0, 0.5);
    const mark = search.mark();
    let wrong = 0;
    for (let k = 1; k <= 300_000; k++) {
      const bound = (k * Math.SQRT1_2) / 300_000;
      search[tighten](1, bound);
      if (search.box().box[end][1] !== bound) wrong++;
      search.restore(mark);
    }
    search.restore(start);
    expect([wrong, search.boxes]).toEqual([0, 300_000]);
  });
});
