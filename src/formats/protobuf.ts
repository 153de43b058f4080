/**
 * Protocol buffer messages, field by field: what a reader of hostile files needs and no more.
 *
 * A reader says which fields it knows and what it does with each; others are skipped without a trace, so that
 * a file cannot make anything be built that nobody asked for. Submessages are read by readers of their own,
 * so that nothing nests deeper than the readers do. Messages of a few bytes become objects of a few hundred,
 * which is why their number is limited (`Budget`). Source: the wire format of protocol buffers,
 * https://protobuf.dev/programming-guides/encoding/.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** How many parts (submessages, names, list entries) may still be read. */
export interface Budget {
  left: number;
}

/** Takes `count` parts from the budget. @throws Error when it is used up */
export function spend(budget: Budget, count = 1): void {
  budget.left -= count;
  if (budget.left < 0) throw new Error('more nodes, names and attributes than any network has');
}

/** What to do with one field, its value at the reader's position. */
type Field = (reader: BinaryReader, wire: WireType) => void;
/** Known fields by number. */
export type Fields = Readonly<Record<number, Field>>;

/**
 * Reads the fields of one message. @throws Error for bytes that end within a field, and for fields of another
 * wire type than theirs
 */
export function readFields(bytes: Uint8Array, fields: Fields): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const field = fields[number];
    if (field === undefined) reader.skip(wire, number);
    else field(reader, wire);
    if (reader.pos > reader.len) throw new Error(`field ${number} ends behind its message`);
  }
}

const typed =
  (expected: WireType, read: (reader: BinaryReader) => void): Field =>
  (reader, wire) => {
    if (wire !== expected) throw new Error(`a field of wire type ${wire} instead of ${expected}`);
    read(reader);
  };

/** A submessage or string of bytes, seen in place: not a copy. */
export const bytesField = (set: (bytes: Uint8Array) => void): Field =>
  typed(WireType.LengthDelimited, (reader) => set(reader.bytes()));
export const textField = (set: (text: string) => void): Field =>
  typed(WireType.LengthDelimited, (reader) => set(reader.string()));
export const floatField = (set: (value: number) => void): Field =>
  typed(WireType.Bit32, (reader) => set(reader.float()));
/** int32, int64 and enumerations; integers beyond 2⁵³ are rounded. */
export const integerField = (set: (value: number) => void): Field =>
  typed(WireType.Varint, (reader) => set(Number(reader.int64())));

/** Numbers that a repeated field has: packed together or one at a time, in a growing typed array. */
export interface Collected<T extends Float32Array | Float64Array | BigInt64Array> {
  readonly field: Field;
  values(): T;
}

function collected<T extends Float32Array | Float64Array | BigInt64Array>(
  make: (length: number) => T,
  wire: WireType,
  read: (reader: BinaryReader) => T[number],
  atMost: (bytes: number) => number,
): Collected<T> {
  let kept = make(0);
  let length = 0;
  const room = (more: number) => {
    if (length + more <= kept.length) return;
    const grown = make(Math.max(length + more, 2 * kept.length));
    grown.set(kept as never);
    kept = grown;
  };
  return {
    field(reader, given) {
      if (given === wire) {
        room(1);
        kept[length++] = read(reader);
        return;
      }
      if (given !== WireType.LengthDelimited)
        throw new Error(`a list of wire type ${given} instead of ${wire} or ${WireType.LengthDelimited}`);
      const packed = new BinaryReader(reader.bytes());
      room(atMost(packed.len));
      while (packed.pos < packed.len) kept[length++] = read(packed);
    },
    values: () => kept.slice(0, length) as T,
  };
}

export const floatList = (): Collected<Float32Array> =>
  collected(
    (n) => new Float32Array(n),
    WireType.Bit32,
    (reader) => reader.float(),
    (bytes) => Math.ceil(bytes / 4),
  );
export const doubleList = (): Collected<Float64Array> =>
  collected(
    (n) => new Float64Array(n),
    WireType.Bit64,
    (reader) => reader.double(),
    (bytes) => Math.ceil(bytes / 8),
  );
/** int32 and int64, exact. Eight bytes are kept for each, of which the file has at least one. */
export const integerList = (): Collected<BigInt64Array> =>
  collected(
    (n) => new BigInt64Array(n),
    WireType.Varint,
    (reader) => BigInt(reader.int64()),
    (bytes) => bytes,
  );
