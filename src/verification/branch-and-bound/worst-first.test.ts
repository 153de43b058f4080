import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { worstFirst } from './worst-first.js';

interface Node {
  readonly bound: number;
  readonly depth: number;
}

describe('a frontier', () => {
  test('never has a greater bound than the least of all that is open, under way or waiting, and alone has that one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 3 }),
        async (bounds, threads) => {
          const frontier = worstFirst<Node>({ threads, expired: () => false });
          const open = new Set<Node>(bounds.map((bound) => ({ bound, depth: 0 })));
          frontier.push([...open]);
          const leastOpen = () =>
            Math.min(Number.POSITIVE_INFINITY, ...Array.from(open, ({ bound }) => bound));
          let divided = 0;
          const divide = async (batch: readonly Node[]): Promise<Node[]> => {
            if (threads === 1) expect(frontier.leastBound()).toBe(leastOpen());
            expect(frontier.leastBound()).toBeLessThanOrEqual(leastOpen());
            // Batches end in another order than they begin in.
            for (let turns = (batch[0] as Node).bound & 3; turns > 0; turns--) await Promise.resolve();
            const made = batch.flatMap(({ bound, depth }) =>
              depth < 3 ? [1, 2].map((more) => ({ bound: bound + more, depth: depth + 1 })) : [],
            );
            for (const node of batch) open.delete(node);
            for (const node of made) open.add(node);
            divided += batch.length;
            return made;
          };
          await frontier.work(
            2,
            () => false,
            divide,
            () => expect(frontier.leastBound()).toBeGreaterThanOrEqual(Math.min(...bounds)),
          );
          expect([frontier.length, frontier.leastBound(), divided]).toEqual([
            0,
            Number.POSITIVE_INFINITY,
            bounds.length * 15,
          ]);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('takes the worst, at most so many and so few that all threads have some', async () => {
    const frontier = worstFirst<Node>({ threads: 3, expired: () => false });
    frontier.push(Array.from({ length: 20 }, (_, bound) => ({ bound, depth: 0 })));
    const batches: number[][] = [];
    const divide = async (batch: readonly Node[]): Promise<Node[]> => {
      batches.push(batch.map(({ bound }) => bound));
      await Promise.resolve();
      return [];
    };
    const never = () => false;
    await frontier.work(4, never, divide, () => undefined);
    // A third of what waits, rounded up, or four.
    expect(batches.map(({ length }) => length)).toEqual([4, 4, 4, 3, 2, 1, 1, 1]);
    expect(batches.flat()).toEqual(Array.from({ length: 20 }, (_, bound) => bound));
  });

  test('has another thread wait for what one divides, and work on it', async () => {
    const frontier = worstFirst<Node>({ threads: 2, expired: () => false });
    frontier.push([{ bound: 0, depth: 0 }]);
    let [now, most] = [0, 0];
    const divide = async ([first]: readonly Node[]): Promise<Node[]> => {
      most = Math.max(most, ++now);
      for (let turns = 0; turns < 20; turns++) await Promise.resolve();
      now--;
      const { bound, depth } = first as Node;
      return depth < 2 ? [bound + 1, bound + 2].map((more) => ({ bound: more, depth: depth + 1 })) : [];
    };
    const never = () => false;
    await frontier.work(1, never, divide, () => undefined);
    expect([most, frontier.length]).toEqual([2, 0]);
  });

  test('keeps what waits when it is over, and throws what a division throws', async () => {
    const frontier = worstFirst<Node>({ threads: 1, expired: () => false });
    frontier.push([3, 1, 2].map((bound) => ({ bound, depth: 0 })));
    const taken: number[] = [];
    const divide = async (batch: readonly Node[]): Promise<Node[]> => {
      taken.push(...batch.map(({ bound }) => bound));
      return [];
    };
    await frontier.work(
      1,
      () => taken.length === 2,
      divide,
      () => undefined,
    );
    expect([taken, frontier.length, frontier.leastBound()]).toEqual([[1, 2], 1, 3]);
    const failing = frontier.work(
      1,
      () => false,
      () => Promise.reject(new Error('no more')),
      () => undefined,
    );
    await expect(failing).rejects.toThrow('no more');
  });
});
