import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeSafetensors } from '../../formats/safetensors.js';
import { Failure } from '../errors.js';
import { type CheckpointValue, decodeCheckpoint, encodeCheckpoint } from './checkpoint.js';
import { loadBest, loadLast, saveBest, saveLast } from './checkpoint-folder.js';

const { value } = fc.letrec<{ value: CheckpointValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, undefined, true, false, -0, Number.NaN, Infinity, -Infinity, Number.MIN_VALUE),
    fc.double(),
    fc.string({ unit: 'binary' }),
    fc.float32Array(),
    fc.float64Array(),
    fc.int32Array(),
    fc.uint32Array(),
    fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom('$array', '$number', '$$', '__metadata__', '0')),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
}));

describe('the encoding of a checkpoint', () => {
  test('brings every value back exactly: −0, NaN, infinities, subnormal numbers, typed arrays', () => {
    fc.assert(
      fc.property(value, (state) => {
        expect(decodeCheckpoint(encodeCheckpoint(state))).toStrictEqual(state);
      }),
    );
  });

  test('arrays that are views into larger memory come back as they were, without what is around them', () => {
    const whole = Float64Array.from({ length: 10 }, (_, i) => i / 3);
    const decoded = decodeCheckpoint(encodeCheckpoint({ middle: whole.subarray(2, 5) })) as {
      middle: Float64Array;
    };
    expect(decoded.middle).toEqual(whole.slice(2, 5));
    expect(decoded.middle.buffer.byteLength).toBe(3 * 8);
  });

  test('a file cut anywhere, or with one bit flipped anywhere, is refused', () => {
    const bytes = encodeCheckpoint({
      step: 7,
      theta: Float32Array.of(1, 2, 3),
      moments: [Float64Array.of(0.1)],
    });
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), (length) => {
        expect(() => decodeCheckpoint(bytes.slice(0, length), 'last')).toThrow(Failure);
      }),
    );
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (place, bit) => {
        const flipped = bytes.slice();
        flipped[place] = (flipped[place] as number) ^ (1 << bit);
        // Padding of the header and letters of unused metadata do not count; everything that does is covered
        // by the digest.
        let decoded: CheckpointValue;
        try {
          decoded = decodeCheckpoint(flipped, 'last');
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          return;
        }
        expect(decoded).toStrictEqual(decodeCheckpoint(bytes));
      }),
    );
  });

  test('other tensors are refused as such, and what is no plain data is named', () => {
    expect(() => decodeCheckpoint(encodeSafetensors({}), 'a')).toThrow(
      'a: expected a checkpoint of a run, got other tensors',
    );
    expect(() => encodeCheckpoint({ optimizer: { moments: [new Date(0)] } })).toThrow(
      'checkpoint/optimizer/moments/0: expected plain data or a typed array, got Date',
    );
    expect(() => encodeCheckpoint({ a: () => 0 })).toThrow('got function');
  });
});

describe('the checkpoints of a run', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-checkpoint-'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const file = (name: string) => join(folder, `${name}.safetensors`);

  test('the last one saved is loaded, the one before is kept, nothing else stays', async () => {
    expect(await loadLast(folder)).toBeUndefined();
    for (const step of [1, 2, 3]) await saveLast(folder, { step });
    expect(await loadLast(folder)).toEqual({ value: { step: 3 }, path: file('last'), warnings: [] });
    expect((await readdir(folder)).sort()).toEqual(['last.safetensors', 'previous.safetensors']);
  });

  test('a torn last checkpoint is passed over with a warning; saving then keeps a whole one at every moment', async () => {
    await saveLast(folder, { step: 1 });
    await saveLast(folder, { step: 2 });
    await truncate(file('last'), 100);
    const loaded = await loadLast(folder);
    expect(loaded?.value).toEqual({ step: 1 });
    expect(loaded?.warnings).toEqual([expect.stringContaining('damaged')]);
    await saveLast(folder, { step: 2 });
    expect((await loadLast(folder))?.value).toEqual({ step: 2 });
  });

  test('a process killed between the writing and the renaming has lost nothing', async () => {
    await saveLast(folder, { step: 1 });
    await writeFile(file('next'), encodeCheckpoint({ step: 2 }));
    expect((await loadLast(folder))?.value).toEqual({ step: 2 });
    await rm(file('last'));
    expect((await loadLast(folder))?.value).toEqual({ step: 2 });
  });

  test('one of another version is an error, whatever older ones there are', async () => {
    await saveLast(folder, { step: 1 });
    await saveLast(folder, { step: 2 });
    const text = (await readFile(file('last'))).toString('latin1');
    await writeFile(file('last'), text.replace(/"checkpoint":"./, '"checkpoint":"9'), 'latin1');
    await expect(loadLast(folder)).rejects.toThrow('got 9; read it with the version that wrote it');
  });

  test('only damaged checkpoints are an error, not a fresh start', async () => {
    await saveLast(folder, { step: 1 });
    await truncate(file('last'), 10);
    await expect(loadLast(folder)).rejects.toThrow('got only damaged ones');
  });

  test('the best one is apart', async () => {
    expect(await loadBest(folder)).toBeUndefined();
    await saveBest(folder, { step: 4 });
    await saveLast(folder, { step: 5 });
    expect(await loadBest(folder)).toEqual({ step: 4 });
    expect((await readFile(file('best'))).length).toBeGreaterThan(0);
  });
});
