/** MAT-files of level 5 for tests. */
import { deflateSync } from 'node:zlib';

type Numbers = Uint8Array | Float64Array | Uint16Array;

/** One miMATRIX: an array of numbers with its class, as MATLAB writes it; `compressed` as since version 7. */
export function matrixElement(
  name: string,
  shape: readonly number[],
  data: Numbers,
  { compressed = false, flag = 0 } = {},
): Buffer {
  const kind =
    data instanceof Float64Array
      ? { type: 9, class: 6 }
      : data instanceof Uint16Array
        ? { type: 4, class: 11 }
        : { type: 2, class: 9 };
  const element = tagged(
    14,
    Buffer.concat([
      tagged(6, Buffer.from([kind.class, flag, 0, 0, 0, 0, 0, 0])),
      tagged(5, Buffer.from(Int32Array.from(shape).buffer)),
      name.length <= 4 ? small(1, Buffer.from(name)) : tagged(1, Buffer.from(name)),
      tagged(kind.type, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
    ]),
  );
  if (!compressed) return element;
  const packed = deflateSync(element);
  return Buffer.concat([tag(15, packed.length), packed]);
}

export function mat5File(...elements: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(128, ' ');
  header.write('MATLAB 5.0 MAT-file, made for a test', 0);
  header.writeUInt16LE(0x0100, 124);
  header.write('IM', 126);
  return Buffer.concat([header, ...elements]);
}

function tag(type: number, size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(size, 4);
  return bytes;
}

const tagged = (type: number, data: Buffer): Buffer =>
  Buffer.concat([tag(type, data.length), data, Buffer.alloc((8 - (data.length % 8)) % 8)]);

function small(type: number, data: Buffer): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(type, 0);
  bytes.writeUInt16LE(data.length, 2);
  data.copy(bytes, 4);
  return bytes;
}
