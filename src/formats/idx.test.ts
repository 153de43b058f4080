import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileError } from './file-error.js';
import { FormatError } from './format-error.js';
import { decodeIdx, readIdx } from './idx.js';

/** IDX bytes written out by hand, independently of the reader. */
function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const extents = shape.flatMap((extent) => [
    (extent >>> 24) & 255,
    (extent >>> 16) & 255,
    (extent >>> 8) & 255,
    extent & 255,
  ]);
  return Uint8Array.from([0, 0, 8, shape.length, ...extents, ...data]);
}

const array = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 4 }).chain((shape) => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return fc.uint8Array({ minLength: size, maxLength: size }).map((data) => ({ shape, data }));
});

describe('IDX', () => {
  it('gives back shape and elements, plain or gzip-compressed', () => {
    fc.assert(
      fc.property(array, fc.boolean(), ({ shape, data }, compressed) => {
        const bytes = idx(shape, data);
        const decoded = decodeIdx(compressed ? gzipSync(bytes) : bytes);
        expect(decoded.shape).toEqual(shape);
        expect([...decoded.data]).toEqual([...data]);
      }),
    );
  });

  it('rejects every truncation and every surplus byte', () => {
    fc.assert(
      fc.property(array, fc.nat(), ({ shape, data }, cut) => {
        const bytes = idx(shape, data);
        expect(() => decodeIdx(bytes.subarray(0, cut % bytes.length))).toThrow(FormatError);
        expect(() => decodeIdx(Uint8Array.from([...bytes, 0]))).toThrow(FormatError);
      }),
    );
  });

  it('names the file, the expected and the actual length', () => {
    const bytes = idx([2, 3], new Uint8Array(5));
    expect(() => decodeIdx(bytes, 'some/labels')).toThrow(
      'some/labels: expected 18 bytes for IDX shape [2,3], got 17 bytes',
    );
  });

  it('reads extents as unsigned: a claim of four billion elements is refused by the length, without allocation', () => {
    expect(() => decodeIdx(Uint8Array.from([0, 0, 8, 1, 255, 255, 255, 255]))).toThrow(
      'expected 4294967303 bytes',
    );
  });

  it('rejects other magics and element types', () => {
    expect(() => decodeIdx(Uint8Array.from([0x89, 0x50, 0x4e, 0x47]), 'x.png')).toThrow(
      'x.png: expected IDX magic 00 00 08',
    );
    expect(() => decodeIdx(Uint8Array.from([0, 0, 8, 0]))).toThrow('expected IDX magic');
    expect(() => decodeIdx(Uint8Array.from([0, 0, 0x0d, 1, 0, 0, 0, 0]))).toThrow('got type 0x0d');
  });

  it('rejects a broken gzip file by name', () => {
    const compressed = gzipSync(idx([40], new Uint8Array(40)));
    expect(() => decodeIdx(compressed.subarray(0, compressed.length - 9), 'images.gz')).toThrow(
      /images\.gz: expected a whole gzip file/,
    );
  });

  it('reads files, and names the one that is missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tautnet-idx-'));
    try {
      const path = join(folder, 'labels');
      await writeFile(path, idx([3], Uint8Array.of(7, 8, 9)));
      expect([...(await readIdx(path)).data]).toEqual([7, 8, 9]);
      const missing = readIdx(join(folder, 'images'));
      await expect(missing).rejects.toThrow(FileError);
      await expect(missing).rejects.toThrow(/cannot read .*images: no such file or folder/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
