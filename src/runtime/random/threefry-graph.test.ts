import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EncodedProgram, encodeProgram, evaluate, input } from '../../graph/index.js';
import { withoutXor } from '../../graph/lowering.js';
import { deviceForTests } from '../../testing/devices.js';
import type { Device } from '../device/device.js';
import { openSession } from '../execution/session.js';
import type { Key } from './keys.js';
import { fillBits } from './threefry.js';
import { keyWords, wordsOf } from './threefry-graph.js';

const word = fc.oneof(
  fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
);
const keyLists = fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 4 });
const starts = fc.oneof(
  fc.constantFrom(0, 1, 2 ** 32 - 2, 2 ** 33 - 40),
  fc.integer({ min: 0, max: 2 ** 33 - 40 }),
);
const counts = fc.integer({ min: 1, max: 40 });

const programOf = (members: number, count: number, start: number, withBlock = false): EncodedProgram =>
  encodeProgram({
    words: wordsOf(
      input('keys', [members, 2], 'int32'),
      count,
      start,
      withBlock ? input('block', [1], 'int32') : undefined,
    ),
  });

async function run(
  program: EncodedProgram,
  keys: readonly Key[],
  device: Device = 'cpu',
  block = 0,
): Promise<number[]> {
  const session = await openSession(program, { device });
  try {
    return Array.from(
      (await session.run({ keys: keyWords(keys), block: Int32Array.of(block) })).words as Int32Array,
    );
  } finally {
    await session.close();
  }
}

const expected = (keys: readonly Key[], count: number, start: number): number[] =>
  keys.flatMap((key) => {
    const out = new Int32Array(count);
    fillBits(key, out, start, count);
    return Array.from(out);
  });

describe('random words as graph operators', () => {
  it('are those of fillBits, bit for bit: any keys, any start, any count', async () => {
    await fc.assert(
      fc.asyncProperty(keyLists, starts, counts, async (keys, start, count) => {
        expect(await run(programOf(keys.length, count, start), keys)).toEqual(expected(keys, count, start));
      }),
      { numRuns: 12 },
    );
  });

  it('are the same without BitwiseXor, as devices get them', async () => {
    await fc.assert(
      fc.asyncProperty(keyLists, starts, counts, async (keys, start, count) => {
        expect(await run(withoutXor(programOf(keys.length, count, start)), keys)).toEqual(
          expected(keys, count, start),
        );
      }),
      { numRuns: 6 },
    );
  });

  it('are the same in the plain evaluation', () => {
    fc.assert(
      fc.property(keyLists, starts, counts, (keys, start, count) => {
        const [got] = evaluate([wordsOf(input('keys', [keys.length, 2], 'int32'), count, start)], {
          keys: keyWords(keys),
        });
        expect(Array.from(got as Float64Array)).toEqual(expected(keys, count, start));
      }),
    );
  });

  it('begin at a block given when the program runs, an unsigned number', async () => {
    const keys: Key[] = [
      [1, 2],
      [0xffffffff, 0x80000000],
    ];
    for (const block of [0, 1, 12345, 2 ** 31, 2 ** 32 - 30])
      expect(await run(programOf(2, 7, 3, true), keys, 'cpu', block | 0)).toEqual(
        expected(keys, 7, 2 * block + 3),
      );
  });

  it('refuse what is no key and words that a key has not', () => {
    expect(() => wordsOf(input('keys', [3, 2]), 4)).toThrow(
      /Threefry: expected keys \[members,2\] int32, got \[3,2\] float32/,
    );
    expect(() => wordsOf(input('keys', [3, 2], 'int32'), 4, 2 ** 33 - 3)).toThrow(
      /words within 0 … 2³³ \(got 4 from 8589934589; use another key for more\)/,
    );
  });
});

const device = await deviceForTests();

describe.skipIf(device === undefined)(`random words on ${device}`, () => {
  it('are those of fillBits, bit for bit, no operator left to the CPU', async () => {
    const keys: Key[] = [
      [0, 0],
      [0xffffffff, 0xffffffff],
      [0x80000000, 0x7fffffff],
      [0x13198a2e, 0x03707344],
    ];
    expect(await run(programOf(4, 1001, 2 ** 32 - 501), keys, device)).toEqual(
      expected(keys, 1001, 2 ** 32 - 501),
    );
    expect(await run(programOf(4, 64, 0, true), keys, device, (2 ** 31) | 0)).toEqual(
      expected(keys, 64, 2 ** 32),
    );
  }, 300_000);
});
