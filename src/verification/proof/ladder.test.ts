import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Climb, climb, type Stage } from './ladder.js';

interface Verdict {
  readonly item: number;
  readonly by: string;
}
/** What stages saw, in order. */
type Seen = { readonly name: string; readonly open: readonly number[] }[];
type TestStage = Stage<Seen, Verdict>;

/** A stage that decides the open ones among these items. */
const deciding = (name: string, of: readonly number[], skipped?: string): TestStage => ({
  name,
  skipped: () => skipped,
  async run(open, seen, decide) {
    seen.push({ name, open });
    for (const item of open) if (of.includes(item)) decide(item, { item, by: name });
  },
});

const ladders = fc.record({
  items: fc.uniqueArray(fc.nat(12)).map((some) => some.sort((a, b) => a - b)),
  stages: fc.array(fc.record({ decides: fc.uniqueArray(fc.nat(12)), left: fc.boolean() }), {
    minLength: 1,
    maxLength: 5,
  }),
});

describe('the ladder', () => {
  test('an item is decided by the first stage that can, and enters no later one', async () => {
    await fc.assert(
      fc.asyncProperty(ladders, async ({ items, stages: given }) => {
        const stages = given.map(({ decides, left }, k) =>
          deciding(`${k}`, decides, left ? 'why' : undefined),
        );
        const seen: Seen = [];
        const told: number[] = [];
        const { verdicts, rungs } = await climb({
          stages,
          context: seen,
          items,
          decided: (item) => told.push(item),
        });
        for (const [i, item] of items.entries()) {
          const first = given.findIndex(({ decides, left }) => !left && decides.includes(item));
          expect(verdicts[i]).toEqual(first < 0 ? undefined : { item, by: `${first}` });
          for (const { name, open } of seen)
            expect(open.includes(item)).toBe(first < 0 || Number(name) <= first);
        }
        expect(told).toEqual(rungs.flatMap((rung) => rung.verdicts.map(({ item }) => item)));
      }),
    );
  });

  test('each stage has a rung: what entered is what earlier ones left open', async () => {
    await fc.assert(
      fc.asyncProperty(ladders, async ({ items, stages: given }) => {
        const stages = given.map(({ decides, left }, k) =>
          deciding(`${k}`, decides, left ? 'why' : undefined),
        );
        const { rungs } = await climb({ stages, context: [], items });
        expect(rungs.map(({ name }) => name)).toEqual(stages.map(({ name }) => name));
        let left = items.length;
        for (const [k, { items: entered, verdicts, seconds, skipped }] of rungs.entries()) {
          expect(entered).toBe(left);
          expect(seconds).toBeGreaterThanOrEqual(0);
          expect(skipped).toBe(left > 0 && given[k]?.left ? 'why' : undefined);
          left -= verdicts.length;
        }
      }),
    );
  });

  test('a stage that nothing enters neither runs nor says why it would not', async () => {
    const asked: string[] = [];
    const stage: TestStage = {
      name: 'late',
      skipped: () => {
        asked.push('skipped');
        return 'why';
      },
      run: async () => {
        asked.push('run');
      },
    };
    const { rungs } = await climb({ stages: [deciding('first', [0]), stage], context: [], items: [0] });
    expect(asked).toEqual([]);
    expect(rungs[1]).toMatchObject({ name: 'late', items: 0, verdicts: [] });
    expect(rungs[1]).not.toHaveProperty('skipped');
  });

  test('no stage begins after a verdict that ends all, though items are open', async () => {
    const seen: Seen = [];
    const { verdicts, rungs }: Climb<Verdict, string> = await climb({
      stages: [deciding('proof', [2]), deciding('attack', [1]), deciding('search', [0])],
      context: seen,
      items: [0, 1, 2],
      endsAll: ({ by }) => by === 'attack',
    });
    expect(seen.map(({ name }) => name)).toEqual(['proof', 'attack']);
    expect(verdicts.map((verdict) => verdict?.by)).toEqual([undefined, 'attack', 'proof']);
    expect(rungs.map(({ name }) => name)).toEqual(['proof', 'attack']);
  });

  test('a verdict is told at once, before its stage ends', async () => {
    const order: string[] = [];
    const stage: TestStage = {
      name: 'batches',
      async run(open, _, decide) {
        for (const item of open) {
          decide(item, { item, by: 'batches' });
          order.push(`after ${item}`);
        }
      },
    };
    await climb({
      stages: [stage],
      context: [],
      items: [0, 1],
      decided: (item) => order.push(`told ${item}`),
    });
    expect(order).toEqual(['told 0', 'after 0', 'told 1', 'after 1']);
  });

  test.each([
    ['twice', [0, 0]],
    ['that did not enter', [7]],
    ['that an earlier stage decided', [1]],
  ])('refuses a verdict on an item %s', async (_, items) => {
    const stage: TestStage = {
      name: 'wrong',
      async run(_open, _context, decide) {
        for (const item of items) decide(item, { item, by: 'wrong' });
      },
    };
    await expect(
      climb({ stages: [deciding('right', [1]), stage], context: [], items: [0, 1, 2] }),
    ).rejects.toThrow('ladder: expected wrong to decide open items once, got item');
  });

  test('what a stage throws ends the climb', async () => {
    const reason = new Error('enough');
    const stage: TestStage = { name: 'stopped', run: () => Promise.reject(reason) };
    const seen: Seen = [];
    await expect(climb({ stages: [stage, deciding('next', [])], context: seen, items: [0] })).rejects.toBe(
      reason,
    );
    expect(seen).toEqual([]);
  });

  test('seconds of stages are those that passed, and no more than the whole took', async () => {
    const slow: TestStage = {
      name: 'slow',
      run: () => new Promise((resolve) => setTimeout(resolve, 30)),
    };
    const began = performance.now();
    const { rungs } = await climb({ stages: [slow, slow], context: [], items: [1] });
    const whole = (performance.now() - began) / 1000;
    const each = rungs.map(({ seconds }) => seconds);
    expect(Math.min(...each)).toBeGreaterThan(0.025);
    expect(each.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(whole);
  });
});
