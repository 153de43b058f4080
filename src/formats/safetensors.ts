/**
 * safetensors: named arrays in one file, without code that runs on reading.
 *
 * ```
 * 8 bytes   N, length of the header, unsigned 64-bit little-endian
 * N bytes   JSON: { "name": { "dtype": "F32", "shape": [2,3], "data_offsets": [begin, end] }, …,
 *           "__metadata__": { string: string } }
 * the rest  the arrays, little-endian, row-major, without holes or overlaps; offsets count from here
 * ```
 * The header is padded with spaces to a multiple of 8 and wide types come first, so every array is aligned in
 * the file. Source: the format's description in the safetensors project (Hugging Face). Typed arrays have the
 * machine's byte order; every machine that Node's numeric libraries support is little-endian, as is the file.
 */
import { FormatError } from './format-error.js';

interface ArrayOf {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  /** One byte per element, 0 or 1. */
  bool: Uint8Array;
}
/** Element types that are read and written: those of JavaScript's typed arrays. */
export type SafetensorsDType = keyof ArrayOf;

/** An array of shape `shape`, row-major; the type of `data` follows `dtype`. */
export type SafetensorsArray = {
  [D in SafetensorsDType]: {
    readonly dtype: D;
    readonly shape: readonly number[];
    readonly data: ArrayOf[D];
  };
}[SafetensorsDType];

/** A safetensors file: arrays by name, and text by name. */
export interface Safetensors {
  readonly tensors: Record<string, SafetensorsArray>;
  readonly metadata: Record<string, string>;
}

/** How a type is called in the file, and the constructor of its array. */
const ENCODINGS = {
  float64: { name: 'F64', width: 8, array: Float64Array },
  int64: { name: 'I64', width: 8, array: BigInt64Array },
  float32: { name: 'F32', width: 4, array: Float32Array },
  int32: { name: 'I32', width: 4, array: Int32Array },
  uint8: { name: 'U8', width: 1, array: Uint8Array },
  bool: { name: 'BOOL', width: 1, array: Uint8Array },
} as const;

/** Types read: those written, and the two half-precision ones, widened to float32. */
interface Decoding {
  readonly width: number;
  decode(bytes: ArrayBuffer): { dtype: SafetensorsDType; data: SafetensorsArray['data'] };
}
const DECODINGS: ReadonlyMap<string, Decoding> = new Map<string, Decoding>([
  ...Object.entries(ENCODINGS).map(([dtype, { name, width, array }]): [string, Decoding] => [
    name,
    { width, decode: (bytes) => ({ dtype: dtype as SafetensorsDType, data: new array(bytes) }) },
  ]),
  [
    'F16',
    {
      width: 2,
      decode: (bytes) => ({ dtype: 'float32', data: Float32Array.from(new Uint16Array(bytes), fromHalf) }),
    },
  ],
  [
    'BF16',
    { width: 2, decode: (bytes) => ({ dtype: 'float32', data: fromBrainFloats(new Uint16Array(bytes)) }) },
  ],
]);

const METADATA = '__metadata__';
/** The reference implementation's limit of the header, in bytes. */
const LARGEST_HEADER = 100_000_000;

/**
 * Encodes named arrays, deterministically: the same tensors and metadata in the same order give the same
 * bytes.
 * @throws FormatError if an array's type or length does not agree with its dtype and shape
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, SafetensorsArray>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const entries = Object.entries(tensors);
  for (const [name, tensor] of entries) checkEncodable(name, tensor);
  // A stable sort: equal widths keep the caller's order.
  entries.sort(([, a], [, b]) => ENCODINGS[b.dtype].width - ENCODINGS[a.dtype].width);
  let offset = 0;
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [[METADATA, metadata]] : [];
  for (const [name, { dtype, shape, data }] of entries) {
    const end = offset + data.byteLength;
    header.push([name, { dtype: ENCODINGS[dtype].name, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(start + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.fill(0x20, 8, start);
  bytes.set(json, 8);
  let position = start;
  for (const [, { data }] of entries) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return bytes;
}

/**
 * Decodes a safetensors file; half-precision arrays come back as float32. Arrays are copies: aligned, and
 * independent of `bytes`. Never allocates more than a small multiple of what `bytes` really holds, whatever
 * the header claims.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError if header, offsets, types, shapes or sizes do not agree with one another and with the
 *  length
 */
export function decodeSafetensors(bytes: Uint8Array, source = 'safetensors data'): Safetensors {
  const { header, start } = decodeHeader(bytes, source);
  const { [METADATA]: metadata = {}, ...rest } = header;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw new FormatError(
      `${source}: expected ${METADATA} to map strings to strings, got ${excerpt(metadata)}`,
    );
  }
  const entries = Object.entries(rest).map(([name, entry]) =>
    decodeEntry(name, entry, bytes.length - start, source),
  );
  checkContiguous(entries, bytes.length - start, source);
  const tensors = entries.map(({ name, dtype, shape, begin, end }): [string, SafetensorsArray] => {
    const copy = new Uint8Array(end - begin);
    copy.set(bytes.subarray(start + begin, start + end));
    if (dtype === 'BOOL' && copy.some((value) => value > 1))
      throw new FormatError(`${source}: expected booleans of "${name}" to be 0 or 1`);
    const decoded = DECODINGS.get(dtype)?.decode(copy.buffer);
    return [name, { ...decoded, shape } as SafetensorsArray];
  });
  return { tensors: Object.fromEntries(tensors), metadata: metadata as Record<string, string> };
}

interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function decodeHeader(bytes: Uint8Array, source: string): { header: Record<string, unknown>; start: number } {
  if (bytes.length < 8)
    throw new FormatError(
      `${source}: expected at least 8 bytes of safetensors header length, got ${bytes.length} bytes`,
    );
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  const largest = Math.min(bytes.length - 8, LARGEST_HEADER);
  if (length > BigInt(largest))
    throw new FormatError(
      `${source}: expected a safetensors header of at most ${largest} bytes, its length field says ${length}`,
    );
  const start = 8 + Number(length);
  let header: unknown;
  try {
    header = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, start)),
    );
  } catch (error) {
    throw new FormatError(
      `${source}: expected ${length} bytes of JSON as safetensors header ` +
        `(${(error as Error).message.split('\n')[0]})`,
    );
  }
  if (!isRecord(header))
    throw new FormatError(`${source}: expected a JSON object as safetensors header, got ${excerpt(header)}`);
  return { header, start };
}

function decodeEntry(name: string, entry: unknown, available: number, source: string): Entry {
  const bad = (expected: string, got: unknown) =>
    new FormatError(`${source}: tensor "${name}": expected ${expected}, got ${excerpt(got)}`);
  if (!isRecord(entry)) throw bad('an object with dtype, shape and data_offsets', entry);
  const { dtype, shape, data_offsets: offsets } = entry;
  const decoding = typeof dtype === 'string' ? DECODINGS.get(dtype) : undefined;
  if (decoding === undefined) throw bad(`dtype to be one of ${[...DECODINGS.keys()].join(', ')}`, dtype);
  if (!isExtents(shape)) throw bad('shape to be non-negative integers', shape);
  if (!isExtents(offsets) || offsets.length !== 2) throw bad('data_offsets to be [begin, end]', offsets);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > available)
    throw bad(`data_offsets within the ${available} bytes of data`, offsets);
  const size = shape.includes(0) ? 0 : shape.reduce((product, extent) => product * extent, decoding.width);
  if (size !== end - begin)
    throw bad(`${size} bytes for ${dtype} of shape [${shape.join(',')}]`, end - begin);
  return { name, dtype: dtype as string, shape, begin, end };
}

/** The arrays must tile the data: no holes (which could hide something), no overlaps, nothing left over. */
function checkContiguous(entries: readonly Entry[], available: number, source: string): void {
  let position = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position)
      throw new FormatError(
        `${source}: tensor "${name}": expected data to begin at offset ${position}, got ${begin}`,
      );
    position = end;
  }
  if (position !== available)
    throw new FormatError(`${source}: expected ${position} bytes of data after the header, got ${available}`);
}

function checkEncodable(name: string, { dtype, shape, data }: SafetensorsArray): void {
  const bad = (expected: string, got: unknown) =>
    new FormatError(`safetensors tensor "${name}": expected ${expected}, got ${got}`);
  if (name === METADATA) throw bad('a name other than the reserved one', METADATA);
  const encoding = ENCODINGS[dtype];
  if (encoding === undefined) throw bad(`dtype to be one of ${Object.keys(ENCODINGS).join(', ')}`, dtype);
  if (!(data instanceof encoding.array))
    throw bad(`${dtype} data in a ${encoding.array.name}`, (data as object | undefined)?.constructor?.name);
  if (!isExtents(shape)) throw bad('shape to be non-negative integers', `[${shape}]`);
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size !== data.length) throw bad(`${size} elements for shape [${shape.join(',')}]`, data.length);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isExtents = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((extent) => Number.isSafeInteger(extent) && extent >= 0);
const excerpt = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 80);

/**
 * IEEE binary16 → number: (−1)^s · 2^(e−15) · (1 + f/1024); subnormal numbers, infinities and NaN as usual.
 */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** bfloat16 is the upper half of float32. */
function fromBrainFloats(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
}
