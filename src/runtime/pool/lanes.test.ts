import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inLanes } from './lanes.js';

const turn = () => new Promise<void>((resume) => setImmediate(resume));

describe('lanes', () => {
  it('work through every piece once, in order, as many at once as there are threads', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(20), fc.integer({ min: 1, max: 5 }), async (count, threads) => {
        const pieces = Array.from({ length: count }, (_, i) => i);
        const begun: number[] = [];
        let [active, most] = [0, 0];
        await inLanes({ threads }, pieces, async (piece) => {
          begun.push(piece);
          most = Math.max(most, ++active);
          await turn();
          active--;
        });
        expect(begun).toEqual(pieces);
        expect(most).toBe(Math.min(threads, count));
      }),
    );
  });

  it('begin no piece that is expired', async () => {
    const begun: number[] = [];
    await inLanes({ threads: 2, expired: (next) => next >= 3 }, [0, 1, 2, 3, 4], async (piece) => {
      begun.push(piece);
      await turn();
    });
    expect(begun).toEqual([0, 1, 2]);
  });

  it('throw the first error when nothing is under way any more, and begin nothing after it', async () => {
    const ended: number[] = [];
    const work = async (piece: number) => {
      if (piece === 1) throw new Error('piece 1');
      await turn();
      ended.push(piece);
    };
    await expect(inLanes({ threads: 2 }, [0, 1, 2, 3], work)).rejects.toThrow('piece 1');
    expect(ended).toEqual([0]);
  });
});
