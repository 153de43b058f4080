import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hypervolume, paretoFront, ranked } from '../../insight/runs/pareto.js';
import { gridValues, type Parameter, type Range, valueAt } from './parameter.js';
import { budgetsOf, createSearch, type SearchOptions, type Trial } from './search.js';
import { gridPoints, randomPoint, type Space } from './space.js';

const SPACE: Space = {
  smoothing: { values: ['none', 'rgs', 'pgpe'] },
  learningRate: { from: 1e-4, to: 1e-1, scale: 'log' },
  sigma: { from: 0.001, to: 0.2, scale: 'log', when: { smoothing: ['rgs', 'pgpe'] } },
  samples: { from: 1, to: 4, integer: true, when: { smoothing: ['rgs'] } },
};
const random = (options: Partial<SearchOptions> = {}): SearchOptions => ({
  search: 'random',
  parameters: SPACE,
  objectives: { certified: 'maximize' },
  ...options,
});

const ranges: fc.Arbitrary<Range> = fc
  .tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 500 }), fc.boolean(), fc.boolean())
  .map(([from, more, integer, log]) => ({
    from: integer ? from : from / 7,
    to: integer ? from + more : from / 7 + more,
    integer,
    scale: log ? 'log' : 'linear',
  }));

describe('a parameter', () => {
  test('has values within its range, whole where it is whole, growing with u', () => {
    fc.assert(
      fc.property(ranges, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (range, u) => {
        const value = valueAt(range, u) as number;
        expect(value).toBeGreaterThanOrEqual(range.from);
        expect(value).toBeLessThanOrEqual(range.to);
        if (range.integer) expect(Number.isInteger(value)).toBe(true);
        expect(valueAt(range, u / 2) as number).toBeLessThanOrEqual(value);
      }),
    );
  });

  test('on a logarithmic scale has as many draws in each decade', () => {
    const range: Range = { from: 1e-4, to: 1e-1, scale: 'log' };
    const values = Array.from({ length: 3000 }, (_, i) => valueAt(range, (i + 0.5) / 3000) as number);
    for (const decade of [1e-4, 1e-3, 1e-2])
      expect(values.filter((value) => value >= decade && value < 10 * decade).length).toBeCloseTo(1000, -1);
  });

  test('of whole numbers gives each of them equally often', () => {
    const counts = new Map<unknown, number>();
    for (let i = 0; i < 4000; i++) {
      const value = valueAt({ from: 1, to: 4, integer: true }, (i + 0.5) / 4000);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    expect([...counts]).toEqual([1, 2, 3, 4].map((value) => [value, 1000]));
  });

  test('has grids with both ends, evenly on its scale', () => {
    expect(gridValues({ from: 0.001, to: 0.1, scale: 'log', steps: 3 }, 'x')).toEqual([0.001, 0.01, 0.1]);
    expect(gridValues({ from: 2, to: 4, integer: true }, 'x')).toEqual([2, 3, 4]);
    expect(() => gridValues({ from: 0, to: 1 }, 'sigma')).toThrow(/^sigma: expected the number of steps/);
  });
});

describe('a space', () => {
  test('draws the same point for the same seed and trial, and another for another', () => {
    expect(randomPoint(SPACE, 3, 7)).toEqual(randomPoint(SPACE, 3, 7));
    const points = Array.from({ length: 50 }, (_, trial) => randomPoint(SPACE, 3, trial));
    expect(new Set(points.map((point) => point.learningRate)).size).toBeGreaterThan(45);
    expect(randomPoint(SPACE, 4, 7)).not.toEqual(randomPoint(SPACE, 3, 7));
  });

  test('draws a parameter without regard to what stands beside it', () => {
    const wider = { ...SPACE, kappa: { from: 0, to: 1 } };
    for (let trial = 0; trial < 20; trial++) {
      const { kappa: _, ...rest } = randomPoint(wider, 0, trial);
      expect(rest).toEqual(randomPoint(SPACE, 0, trial));
    }
  });

  test('has a conditional parameter exactly where its condition holds', () => {
    for (let trial = 0; trial < 60; trial++) {
      const point = randomPoint(SPACE, 1, trial);
      expect('sigma' in point).toBe(point.smoothing !== 'none');
      expect('samples' in point).toBe(point.smoothing === 'rgs');
    }
  });

  test('has a grid without repetitions, where conditions fail none of the parameter', () => {
    const points = gridPoints({
      ...SPACE,
      learningRate: { values: [0.1, 0.01] },
      sigma: { ...(SPACE.sigma as Range), steps: 3 },
    });
    expect(points.length).toBe(2 * (1 + 3 * 4 + 3));
    expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(points.length);
  });

  test.each<[string, Space, RegExp]>([
    ['a condition on nobody', { a: { values: [1], when: { b: [1] } } }, /^a: expected a condition on/],
    ['a range upside down', { a: { from: 2, to: 1 } }, /^a: expected from below to, got 2 and 1/],
    ['a logarithm of zero', { a: { from: 0, to: 1, scale: 'log' } }, /^a: expected from above 0/],
    ['no value', { a: { values: [] } as Parameter }, /^a: expected at least one value/],
  ])('is refused with %s', (_, parameters, message) => {
    expect(() => createSearch(random({ parameters }))).toThrow(message);
  });
});

const points = (dimension: number) =>
  fc.array(fc.tuple(...Array.from({ length: dimension }, () => fc.integer({ min: 0, max: 6 }))), {
    minLength: 1,
    maxLength: 12,
  }) as fc.Arbitrary<number[][]>;

describe('the Pareto front', () => {
  test('dominates every point, and no point of it another', () => {
    fc.assert(
      fc.property(points(2), (all) => {
        const front = paretoFront(all).map((i) => all[i] as number[]);
        const beats = (a: number[], b: number[]) =>
          a.every((x, i) => x >= (b[i] as number)) && a.some((x, i) => x > (b[i] as number));
        for (const a of front) for (const b of front) expect(beats(a, b)).toBe(false);
        for (const point of all)
          expect(front.some((a) => a.every((x, i) => x >= (point[i] as number)))).toBe(true);
      }),
    );
  });

  test('comes first in the order, which with one objective is that of its values', () => {
    fc.assert(
      fc.property(points(2), (all) => {
        const front = paretoFront(all);
        expect(
          ranked(all)
            .slice(0, front.length)
            .sort((a, b) => a - b),
        ).toEqual(front);
      }),
    );
    expect(ranked([[1], [3], [2], [3]])).toEqual([1, 3, 2, 0]);
  });

  test('covers the volume that counting unit cells finds', () => {
    for (const dimension of [1, 2, 3])
      fc.assert(
        fc.property(points(dimension), (all) => {
          const cells = Array.from({ length: 6 ** dimension }, (_, index) =>
            Array.from({ length: dimension }, (_, axis) => Math.floor(index / 6 ** axis) % 6),
          );
          const covered = cells.filter((cell) =>
            all.some((point) => point.every((x, i) => x > (cell[i] as number))),
          );
          expect(hypervolume(all, Array(dimension).fill(0))).toBe(covered.length);
        }),
      );
  });
});

/** Runs a search with `parallel` trials at once, which end in an order drawn from `order`. */
function played(options: SearchOptions, parallel: number, order: (among: number) => number) {
  const search = createSearch(options);
  const running: Trial[] = [];
  const asked: Trial[] = [];
  for (;;) {
    while (running.length < parallel) {
      const trial = search.ask();
      if (trial === undefined) break;
      running.push(trial);
      asked.push(trial);
    }
    if (running.length === 0) return { search, asked };
    const [trial] = running.splice(order(running.length), 1) as [Trial];
    search.tell(trial, {
      values: { certified: -Math.abs(Math.log((trial.point.learningRate as number) / 0.01)) },
    });
  }
}

describe('a search', () => {
  test('asks for each trial of a random search once, whatever the order of results', () => {
    const { asked } = played(random({ trials: 12 }), 3, (among) => among - 1);
    expect(asked.map(({ number }) => number)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(asked[5]?.point).toEqual(randomPoint(SPACE, 0, 5));
  });

  test('by halving promotes the best third of each rung, never one twice, with any order of results', () => {
    const halving = { first: 1, factor: 3, last: 9 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(1000), (parallel, salt) => {
        let count = salt;
        const options = random({ search: 'halving', trials: 27, halving });
        const { asked, search } = played(options, parallel, (among) => ++count % among);
        const at = (rung: number) => asked.filter((trial) => trial.rung === rung);
        expect(new Set(asked.map(({ number, rung }) => `${number}/${rung}`)).size).toBe(asked.length);
        expect(at(0).length).toBe(27);
        expect(at(1).length).toBeGreaterThanOrEqual(9);
        // Asynchronous: some that led for a while are promoted beside the best.
        expect(at(1).length).toBeLessThanOrEqual(18);
        expect(asked.map(({ rung, budget }) => budget === [1, 3, 9][rung])).not.toContain(false);
        const best = search
          .finished()
          .reduce((a, b) => ((b.values.certified as number) > (a.values.certified as number) ? b : a));
        expect(best.rung).toBe(2);
        expect(search.front().map(({ number }) => number)).toEqual([best.number]);
      }),
      { numRuns: 40 },
    );
  });

  test('has budgets that grow by the factor and end with the last', () => {
    expect(budgetsOf({ first: 2, factor: 3, last: 20 })).toEqual([2, 6, 18, 20]);
    expect(budgetsOf({ first: 5, factor: 2, last: 5 })).toEqual([5]);
  });

  test('neither promotes nor ranks a trial that failed', () => {
    const search = createSearch(
      random({ search: 'halving', trials: 2, halving: { first: 1, factor: 2, last: 2 } }),
    );
    const [a, b] = [search.ask(), search.ask()] as [Trial, Trial];
    search.tell(a, { failed: 'diverged' });
    search.tell(b, { values: { certified: 0.1 } });
    expect(search.ask()).toBe(undefined);
    expect(search.front().map(({ number }) => number)).toEqual([b.number]);
  });

  test('goes on where an earlier process stopped: what began counts as running', () => {
    const search = createSearch(random({ trials: 3 }));
    search.begin({ number: 1, rung: 0, point: randomPoint(SPACE, 0, 1) });
    expect([search.ask()?.number, search.ask()?.number, search.ask()]).toEqual([0, 2, undefined]);
    expect(search.running).toBe(3);
  });

  test('refuses results that lack an objective, or of nobody', () => {
    const search = createSearch(random({ trials: 1 }));
    const trial = search.ask() as Trial;
    expect(() => search.tell(trial, { values: { natural: 1 } })).toThrow('got undefined for certified');
    search.tell(trial, { values: { certified: 1 } });
    expect(() => search.tell(trial, { values: { certified: 1 } })).toThrow('expected a running trial');
  });
});
