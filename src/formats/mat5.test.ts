import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mat5File, matrixElement } from '../testing/mat5.js';
import { FormatError } from './format-error.js';
import { decodeMat5 } from './mat5.js';

const shape = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 4 });

describe('a MAT-file of level 5', () => {
  it('gives back its numeric arrays, compressed or not, whatever the length of their names', () => {
    fc.assert(
      fc.property(
        shape,
        fc.constantFrom('X', 'four', 'a_longer_name'),
        fc.boolean(),
        fc.nat(),
        (extents, name, compressed, seed) => {
          const size = extents.reduce((product, extent) => product * extent, 1);
          const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed) % 256);
          const numbers = Float64Array.from(bytes, (byte) => byte / 7);
          const arrays = decodeMat5(
            mat5File(
              matrixElement(name, extents, bytes, { compressed }),
              matrixElement('y', [size, 1], numbers, { compressed }),
            ),
          );
          expect(arrays.get(name)).toEqual({ shape: extents, data: bytes });
          expect(arrays.get('y')).toEqual({ shape: [size, 1], data: numbers });
        },
      ),
    );
  });

  it('leaves out what is no real numeric array', () => {
    const complex = matrixElement('z', [1, 1], Uint8Array.of(1), { flag: 0x08 });
    expect([
      ...decodeMat5(mat5File(complex, matrixElement('X', [1, 2], Uint8Array.of(1, 2)))).keys(),
    ]).toEqual(['X']);
  });

  it('that is cut short is refused, naming the file', () => {
    for (const compressed of [true, false]) {
      const whole = mat5File(matrixElement('X', [32, 32], new Uint8Array(1024), { compressed }));
      for (const length of [0, 100, 130, 140, whole.length - 9]) {
        expect(() => decodeMat5(whole.subarray(0, length), 'train.mat')).toThrow(FormatError);
        expect(() => decodeMat5(whole.subarray(0, length), 'train.mat')).toThrow(/^train\.mat: expected /);
      }
    }
  });

  it('whose compressed bytes are damaged, or whose shape disagrees with its data, is refused', () => {
    const packed = mat5File(matrixElement('X', [32, 32], new Uint8Array(1024), { compressed: true }));
    packed[140] = (packed[140] as number) ^ 0xff;
    expect(() => decodeMat5(packed)).toThrow('expected a whole compressed variable');
    expect(() => decodeMat5(mat5File(matrixElement('X', [3, 3], new Uint8Array(8))))).toThrow(
      'expected 9 bytes for X of shape [3,3], got 8',
    );
    expect(() => decodeMat5(Buffer.alloc(200))).toThrow('expected a little-endian MAT-file of level 5');
  });
});
