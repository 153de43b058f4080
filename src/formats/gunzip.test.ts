import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as browser from './gunzip.browser.js';
import * as node from './gunzip.js';

const MOST = 4096;
const unpack = ({ gunzip }: typeof node, packed: Uint8Array): Uint8Array | undefined => {
  try {
    return Uint8Array.from(gunzip(packed, MOST));
  } catch {
    return undefined;
  }
};

describe.each([
  ['Node', node],
  ['a browser', browser],
])('unpacking in %s', (_, gunzip) => {
  test('gives what was packed, and nothing for what is cut off, damaged or unpacks to too much', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: MOST }),
      fc.nat(2 * MOST).map((count) => new Uint8Array(count)),
    );
    fc.assert(
      fc.property(bytes, fc.nat(), fc.nat(), (data, cut, hit) => {
        const packed = gzipSync(data);
        expect(unpack(gunzip, packed)).toEqual(data.length <= MOST ? data : undefined);
        expect(unpack(gunzip, packed.subarray(0, cut % packed.length))).toBeUndefined();
        // Behind the header, and not where a bit means nothing.
        const at = packed.length - 1 - (hit % 8);
        expect(unpack(gunzip, packed.with(at, (packed[at] as number) ^ 1) as Buffer)).toBeUndefined();
      }),
    );
  });
});
