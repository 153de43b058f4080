import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as browser from './sha1.browser.js';
import * as node from './sha1.js';

test('an array has the same key in a browser as in Node: programs are the same bytes', () => {
  const arrays = fc.oneof(fc.uint8Array(), fc.float32Array(), fc.float64Array(), fc.int32Array());
  fc.assert(
    fc.property(arrays, fc.nat(), (array, from) => {
      const view = array.subarray(from % (array.length + 1));
      expect(browser.sha1(view)).toBe(node.sha1(view));
    }),
  );
});
