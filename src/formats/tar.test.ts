import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tarOf } from '../testing/archives.js';
import { FormatError } from './format-error.js';
import { decodeTar } from './tar.js';

const name = fc.stringMatching(/^[a-z]{1,8}(\/[a-z0-9_.]{1,12}){0,3}$/);
const files = fc.dictionary(name, fc.uint8Array({ maxLength: 2000 }), { noNullPrototype: true });

describe('a tar archive', () => {
  it('gives back the files that were put into it', async () => {
    await fc.assert(
      fc.asyncProperty(files, async (contents) => {
        const decoded = await decodeTar(tarOf(contents));
        expect([...decoded.keys()]).toEqual(Object.keys(contents));
        for (const [path, bytes] of Object.entries(contents))
          expect([...(decoded.get(path) as Uint8Array)]).toEqual([...bytes]);
      }),
    );
  });

  it('that is cut short anywhere before its end is refused, never read as fewer files', async () => {
    const archive = tarOf({ 'a/one': new Uint8Array(700).fill(1), 'a/two': new Uint8Array(1512).fill(0) });
    const end = archive.length - 1024;
    for (let length = 0; length <= end; length += 64) {
      const decoding = decodeTar(archive.subarray(0, length), 'x.tar');
      await expect(decoding).rejects.toThrow(FormatError);
      await expect(decoding).rejects.toThrow(/^x\.tar: expected .* cut short, get it again$/);
    }
  });

  it('with a damaged header is refused', async () => {
    const archive = tarOf({ one: new Uint8Array(10) });
    archive[3] = 0x7a;
    await expect(decodeTar(archive)).rejects.toThrow(/expected a whole tar archive, got one .*checksum/i);
  });
});
