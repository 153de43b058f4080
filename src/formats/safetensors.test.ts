import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError } from './format-error.js';
import { decodeSafetensors, encodeSafetensors, type SafetensorsArray } from './safetensors.js';

const extents = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
const sizeOf = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);
const exactly = (size: number) => ({ minLength: size, maxLength: size });
const tensor: fc.Arbitrary<SafetensorsArray> = extents.chain((shape) => {
  const size = exactly(sizeOf(shape));
  return fc.oneof(
    fc.float32Array(size).map((data) => ({ dtype: 'float32' as const, shape, data })),
    fc.float64Array(size).map((data) => ({ dtype: 'float64' as const, shape, data })),
    fc.int32Array(size).map((data) => ({ dtype: 'int32' as const, shape, data })),
    fc.bigInt64Array(size).map((data) => ({ dtype: 'int64' as const, shape, data })),
    fc.uint8Array(size).map((data) => ({ dtype: 'uint8' as const, shape, data })),
    fc.uint8Array({ ...size, max: 1 }).map((data) => ({ dtype: 'bool' as const, shape, data })),
  );
});
const name = fc
  .oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', '0', '10', 'conv1.weight', 'σ'))
  .filter((text) => text !== '__metadata__');
const tensors = fc.dictionary(name, tensor, { maxKeys: 5, noNullPrototype: true });
const metadata = fc.dictionary(name, fc.string(), { maxKeys: 3, noNullPrototype: true });

/** A file with any header and any data, to show the reader what no writer makes. */
function file(header: unknown, data: Uint8Array = new Uint8Array(0), length?: bigint): Uint8Array {
  const json = typeof header === 'string' ? header : JSON.stringify(header);
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}
const bits = (array: SafetensorsArray['data']) => [
  ...new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
];

describe('safetensors', () => {
  it('gives back names, types, shapes, every bit of the data and the metadata, wherever the bytes lie in memory', () => {
    fc.assert(
      fc.property(tensors, metadata, fc.nat({ max: 7 }), (written, notes, shift) => {
        const encoded = encodeSafetensors(written, notes);
        const shifted = new Uint8Array(encoded.length + shift).subarray(shift);
        shifted.set(encoded);
        const decoded = decodeSafetensors(shifted);
        expect(Object.entries(decoded.metadata).sort()).toEqual(Object.entries(notes).sort());
        expect(Object.keys(decoded.tensors).sort()).toEqual(Object.keys(written).sort());
        for (const [key, { dtype, shape, data }] of Object.entries(written)) {
          const read = Object.entries(decoded.tensors).find(([other]) => other === key)?.[1];
          expect([read?.dtype, read?.shape]).toEqual([dtype, shape]);
          expect(read?.data.constructor).toBe(data.constructor);
          expect(bits((read as SafetensorsArray).data)).toEqual(bits(data));
        }
      }),
    );
  });

  it('lays the data out at multiples of 8 bytes, wide types first', () => {
    const bytes = encodeSafetensors({
      a: { dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) },
      b: { dtype: 'float64', shape: [1], data: Float64Array.of(0.5) },
    });
    const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(start % 8).toBe(0);
    expect(new DataView(bytes.buffer).getFloat64(start, true)).toBe(0.5);
    expect([...bytes.subarray(start + 8)]).toEqual([1, 2, 3]);
  });

  it('rejects every truncation and every surplus byte', () => {
    fc.assert(
      fc.property(tensors, fc.nat(), (written, cut) => {
        const bytes = encodeSafetensors(written);
        expect(() => decodeSafetensors(bytes.subarray(0, cut % bytes.length))).toThrow(FormatError);
        expect(() => decodeSafetensors(Uint8Array.from([...bytes, 0]))).toThrow(FormatError);
      }),
    );
  });

  it('decodes or throws a FormatError, never anything else, after any byte is changed', () => {
    fc.assert(
      fc.property(tensors, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, at, change) => {
        const bytes = encodeSafetensors(written);
        bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ change;
        try {
          decodeSafetensors(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 500 },
    );
  });

  const one = (entry: object) =>
    file({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...entry } }, new Uint8Array(8));
  it.each([
    [
      'a header longer than the file',
      file({}, new Uint8Array(0), 2n ** 60n),
      'expected a safetensors header of at most 2 bytes, its length field says 1152921504606846976',
    ],
    ['a header that is not JSON', file('{"w": '), 'expected 6 bytes of JSON'],
    ['a header that is not an object', file([1]), 'expected a JSON object as safetensors header, got [1]'],
    [
      'metadata that are not strings',
      file({ __metadata__: { epoch: 3 } }),
      '__metadata__ to map strings to strings',
    ],
    [
      'an unknown type',
      one({ dtype: 'F8_E4M3' }),
      'tensor "w": expected dtype to be one of F64, I64, F32, I32, U8, BOOL, F16, BF16, got "F8_E4M3"',
    ],
    ['a negative extent', one({ shape: [-2] }), 'expected shape to be non-negative integers, got [-2]'],
    [
      'a size that disagrees with the shape',
      one({ shape: [3] }),
      'expected 12 bytes for F32 of shape [3], got 8',
    ],
    [
      'a shape whose product overflows',
      one({ shape: [2 ** 32, 2 ** 32, 2 ** 32] }),
      'bytes for F32 of shape',
    ],
    [
      'offsets beyond the data',
      one({ shape: [2 ** 40], data_offsets: [0, 2 ** 42] }),
      'data_offsets within the 8 bytes of data',
    ],
    ['offsets the wrong way round', one({ data_offsets: [8, 0] }), 'data_offsets within the 8 bytes'],
    [
      'data that no tensor owns',
      one({ shape: [1], data_offsets: [0, 4] }),
      'expected 4 bytes of data after the header, got 8',
    ],
    [
      'a hole before the data',
      one({ shape: [1], data_offsets: [4, 8] }),
      'expected data to begin at offset 0, got 4',
    ],
    [
      'overlapping tensors',
      file(
        {
          v: { dtype: 'U8', shape: [2], data_offsets: [0, 2] },
          w: { dtype: 'U8', shape: [2], data_offsets: [1, 3] },
        },
        new Uint8Array(3),
      ),
      'tensor "w": expected data to begin at offset 2, got 1',
    ],
    [
      'booleans that are neither',
      file({ w: { dtype: 'BOOL', shape: [1], data_offsets: [0, 1] } }, Uint8Array.of(2)),
      'expected booleans of "w" to be 0 or 1',
    ],
  ])('rejects %s, naming the file', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes, 'run/model.safetensors')).toThrow(FormatError);
    expect(() => decodeSafetensors(bytes, 'run/model.safetensors')).toThrow('run/model.safetensors: ');
    expect(() => decodeSafetensors(bytes)).toThrow(message);
  });

  it('widens half precision exactly', () => {
    const half = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x3555, 0x0400);
    const brain = Uint16Array.of(0x3f80, 0xc040, 0x7f80);
    const { tensors: read } = decodeSafetensors(
      file(
        {
          h: { dtype: 'F16', shape: [9], data_offsets: [0, 18] },
          b: { dtype: 'BF16', shape: [3], data_offsets: [18, 24] },
        },
        Uint8Array.from([...new Uint8Array(half.buffer), ...new Uint8Array(brain.buffer)]),
      ),
    );
    expect(read.h?.dtype).toBe('float32');
    expect([...(read.h?.data ?? [])]).toEqual([
      1,
      -2,
      65504,
      2 ** -24,
      -0,
      Infinity,
      -Infinity,
      0.333251953125,
      2 ** -14,
    ]);
    expect([...(read.b?.data ?? [])]).toEqual([1, -3, Infinity]);
    const nan = decodeSafetensors(
      file({ n: { dtype: 'F16', shape: [], data_offsets: [0, 2] } }, Uint8Array.of(1, 0x7e)),
    );
    expect(nan.tensors.n?.data[0]).toBeNaN();
  });

  it('refuses to write what does not agree', () => {
    const data = new Float32Array(3);
    expect(() => encodeSafetensors({ w: { dtype: 'float32', shape: [2, 2], data } })).toThrow(
      'tensor "w": expected 4 elements for shape [2,2], got 3',
    );
    expect(() => encodeSafetensors({ w: { dtype: 'float64', shape: [3], data } as never })).toThrow(
      'expected float64 data in a Float64Array, got Float32Array',
    );
    expect(() => encodeSafetensors({ __metadata__: { dtype: 'float32', shape: [3], data } })).toThrow(
      'a name other than the reserved one',
    );
  });

  const reference = fileURLToPath(new URL('../../../shared/reference/cnn3.safetensors', import.meta.url));
  it('reads a file that another implementation wrote', (context) => {
    if (!existsSync(reference)) context.skip(`no ${reference}`);
    const { tensors: read } = decodeSafetensors(readFileSync(reference), reference);
    expect(read.x).toMatchObject({ dtype: 'float32', shape: [32, 1, 28, 28] });
    const pixels = read.x?.data as Float32Array;
    expect(pixels.every((pixel) => pixel >= 0 && pixel < 1)).toBe(true);
    expect(pixels.reduce((sum, pixel) => sum + pixel, 0) / pixels.length).toBeCloseTo(0.5, 1);
    expect(read.y?.shape).toEqual([32]);
    expect(read.logits?.shape).toEqual([32, 10]);
  });
});
