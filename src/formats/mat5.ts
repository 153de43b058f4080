/**
 * MAT-files of level 5, as far as data sets use them: real numeric arrays, compressed or not.
 *
 * ```
 * 128 bytes  header: text, version 0x0100, "IM" for little-endian
 * elements   type, bytes (32 bits each), then the data, filled up to a multiple of 8; miCOMPRESSED (15) holds
 *            one element, deflated; up to 4 bytes of data may stand in the tag itself: type in its low, bytes
 *            in its high 16 bits
 * miMATRIX   (14) consists of elements: flags (class in the low byte), dimensions, name, real part
 * ```
 * Arrays are column-major: the first index runs fastest. Source: MathWorks, *MAT-File Format*, level 5.
 */
import { inflateSync } from 'node:zlib';
import { FormatError } from './format-error.js';

export interface Mat5Array {
  /** Extents; element (i₀, i₁, …) is at i₀ + shape[0]·(i₁ + shape[1]·(…)). */
  readonly shape: readonly number[];
  /**
   * Column-major elements, as they are stored (writers may store whole numbers in a narrower type than the
   * array's class).
   */
  readonly data:
    | Uint8Array
    | Int8Array
    | Int16Array
    | Uint16Array
    | Int32Array
    | Uint32Array
    | Float32Array
    | Float64Array;
}

const MATRIX = 14;
const COMPRESSED = 15;
const NUMERIC = new Map<number, { width: number; array: new (buffer: ArrayBuffer) => Mat5Array['data'] }>([
  [1, { width: 1, array: Int8Array }],
  [2, { width: 1, array: Uint8Array }],
  [3, { width: 2, array: Int16Array }],
  [4, { width: 2, array: Uint16Array }],
  [5, { width: 4, array: Int32Array }],
  [6, { width: 4, array: Uint32Array }],
  [7, { width: 4, array: Float32Array }],
  [9, { width: 8, array: Float64Array }],
]);
/**
 * What a compressed variable may unfold to; the largest published one read here has 4.6 GB and is not meant.
 */
const LARGEST_UNFOLDED = 2 ** 31;

interface Element {
  readonly type: number;
  readonly data: Uint8Array;
  /** Where the next element begins. */
  readonly end: number;
}

/**
 * The numeric arrays of a MAT-file by name; other variables (text, structures, cells) are left out.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError if the bytes are no little-endian MAT-file of level 5, or are cut short
 */
export function decodeMat5(bytes: Uint8Array, source = 'MAT-file'): Map<string, Mat5Array> {
  if (bytes.length < 128 || bytes[126] !== 0x49 || bytes[127] !== 0x4d || bytes[125] !== 0x01)
    throw new FormatError(`${source}: expected a little-endian MAT-file of level 5, got something else`);
  const arrays = new Map<string, Mat5Array>();
  for (let position = 128; position < bytes.length; ) {
    const outer = elementAt(bytes, position, source);
    position = outer.end;
    const inner = outer.type === COMPRESSED ? elementAt(inflated(outer.data, source), 0, source) : outer;
    if (inner.type !== MATRIX) continue;
    const variable = numericArray(inner.data, source);
    if (variable !== undefined) arrays.set(variable.name, variable.array);
  }
  return arrays;
}

function elementAt(bytes: Uint8Array, position: number, source: string): Element {
  if (position + 8 > bytes.length) throw cutShort(source, 'an element', 8, bytes.length - position);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = view.getUint32(position, true);
  const small = first >>> 16;
  if (small !== 0) {
    if (small > 4)
      throw new FormatError(
        `${source}: expected at most 4 bytes in a small element at byte ${position}, got ${small}`,
      );
    return {
      type: first & 0xffff,
      data: bytes.subarray(position + 4, position + 4 + small),
      end: position + 8,
    };
  }
  const size = view.getUint32(position + 4, true);
  const start = position + 8;
  if (start + size > bytes.length) throw cutShort(source, 'an element', size, bytes.length - start);
  // Compressed elements are the only ones that are not filled up.
  return {
    type: first,
    data: bytes.subarray(start, start + size),
    end: first === COMPRESSED ? start + size : start + Math.ceil(size / 8) * 8,
  };
}

/** Memory of its own, aligned for any type; `slice` of Node's buffers would not copy. */
const copied = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

const cutShort = (source: string, what: string, expected: number, got: number): FormatError =>
  new FormatError(
    `${source}: expected ${expected} bytes of ${what}, got ${got}; the file is cut short, get it again`,
  );

function inflated(bytes: Uint8Array, source: string): Uint8Array {
  try {
    return inflateSync(bytes, { maxOutputLength: LARGEST_UNFOLDED });
  } catch (error) {
    throw new FormatError(
      `${source}: expected a whole compressed variable, got one that does not unfold ` +
        `(${(error as Error).message})`,
    );
  }
}

/** Name and content of a miMATRIX; undefined if it is no real numeric array. */
function numericArray(bytes: Uint8Array, source: string): { name: string; array: Mat5Array } | undefined {
  const flags = elementAt(bytes, 0, source);
  const kind = flags.data[0] as number;
  const complex = ((flags.data[1] as number) & 0x08) !== 0;
  // 6 … 13: double, single, int8, uint8, int16, uint16, int32, uint32.
  if (kind < 6 || kind > 13 || complex) return undefined;
  const dimensions = elementAt(bytes, flags.end, source);
  const name = elementAt(bytes, dimensions.end, source);
  const real = elementAt(bytes, name.end, source);
  const encoding = NUMERIC.get(real.type);
  if (encoding === undefined) return undefined;
  const shape = [...new Int32Array(copied(dimensions.data))];
  const text = new TextDecoder().decode(name.data);
  const size = shape.reduce((product, extent) => product * extent, encoding.width);
  if (size !== real.data.length)
    throw new FormatError(
      `${source}: expected ${size} bytes for ${text} of shape [${shape.join(',')}], got ${real.data.length}`,
    );
  return { name: text, array: { shape, data: new encoding.array(copied(real.data)) } };
}
