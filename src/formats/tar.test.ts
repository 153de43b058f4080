import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tarOf } from '../testing/archives.js';
import { FormatError } from './format-error.js';
import { decodeTar } from './tar.js';

const name = fc.stringMatching(/^[a-z]{1,8}(\/[a-z0-9_.]{1,12}){0,3}$/);
const files = fc.dictionary(name, fc.uint8Array({ maxLength: 2000 }), { noNullPrototype: true });

describe('a tar archive', () => {
  it('gives back the files that were put into it', () => {
    fc.assert(
      fc.property(files, (contents) => {
        const decoded = decodeTar(tarOf(contents));
        expect([...decoded.keys()]).toEqual(Object.keys(contents));
        for (const [path, bytes] of Object.entries(contents))
          expect([...(decoded.get(path) as Uint8Array)]).toEqual([...bytes]);
      }),
    );
  });

  it('that is cut short anywhere before its end is refused, never read as fewer files', () => {
    const archive = tarOf({ 'a/one': new Uint8Array(700).fill(1), 'a/two': new Uint8Array(512).fill(2) });
    const end = archive.length - 1024;
    for (let length = 0; length <= end; length += 64) {
      expect(() => decodeTar(archive.subarray(0, length), 'x.tar')).toThrow(FormatError);
      expect(() => decodeTar(archive.subarray(0, length), 'x.tar')).toThrow(
        /^x\.tar: expected .* cut short, get it again$/,
      );
    }
  });

  it('with a damaged header is refused', () => {
    const archive = tarOf({ one: new Uint8Array(10) });
    archive[3] = 0x7a;
    expect(() => decodeTar(archive)).toThrow('expected a tar header at byte 0, got something else');
  });
});
