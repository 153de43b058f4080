import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SweepDefinition } from '../definition.js';
import { extended } from './extension.js';

/** A sweep of rows with so many seeds each, all rows of a seed together, as final runs are. */
const of = (seeds: Readonly<Record<string, number>>, rate = 0.1): SweepDefinition => {
  const points = Array.from({ length: Math.max(0, ...Object.values(seeds)) }, (_, seed) =>
    Object.keys(seeds)
      .filter((row) => seed < (seeds[row] as number))
      .map((row) => ({ row, point: { learningRate: rate, relaxation: row, seed } })),
  ).flat();
  return {
    settings: { epochs: 2 },
    search: {
      search: 'list',
      points: points.map(({ point }) => point),
      objectives: { certified: 'maximize' },
    },
    judge: { on: 'test' },
    labels: points.map(({ row }) => row),
  };
};
const runs = ({ labels, search }: SweepDefinition): string[] =>
  (labels ?? []).map((label, i) => `${label} ${search.points?.[i]?.seed}`);

describe('a folder that is asked for more', () => {
  const seeds = fc.dictionary(fc.constantFrom('ibp', 'crown', 'sabr'), fc.integer({ min: 1, max: 4 }), {
    noNullPrototype: true,
  });
  test('keeps what it has in its place, and has behind it once what is new', () => {
    fc.assert(
      fc.property(seeds, seeds, (before, asked) => {
        const whole = extended(of(before), of(asked)) as SweepDefinition;
        expect(runs(whole).slice(0, runs(of(before)).length)).toEqual(runs(of(before)));
        expect(new Set(runs(whole))).toEqual(new Set([...runs(of(before)), ...runs(of(asked))]));
        expect(new Set(runs(whole)).size).toBe(runs(whole).length);
        // Asked once more it is what it is.
        expect(extended(whole, of(asked))).toBe(whole);
      }),
    );
  });

  test('is of another experiment where a row has other points, or anything else differs', () => {
    expect(extended(of({ ibp: 2 }), of({ ibp: 3 }, 0.2))).toBeUndefined();
    expect(extended(of({ ibp: 2 }), { ...of({ ibp: 3 }), settings: { epochs: 3 } })).toBeUndefined();
    expect(extended(of({ ibp: 2 }), { ...of({ ibp: 3 }), judge: { on: 'validation' } })).toBeUndefined();
    // Other rows may have other points.
    expect(extended(of({ ibp: 2 }), of({ crown: 3 }, 0.2))?.labels).toEqual([
      'ibp',
      'ibp',
      'crown',
      'crown',
      'crown',
    ]);
  });
});
