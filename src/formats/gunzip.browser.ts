/** `gunzip.ts` without Node. */
import { buf } from 'crc-32';
import { Gunzip } from 'fflate';

/** What bytes unpack to. @throws Error if they are damaged, cut off, or unpack to more than `most` bytes */
export function gunzip(bytes: Uint8Array, most: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  const unpacking = new Gunzip((part) => {
    size += part.length;
    if (size > most) throw new Error('it unpacks to more');
    parts.push(part);
  });
  unpacking.push(bytes, true);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  // The last eight bytes: CRC-32 and size of what was packed.
  const end = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8);
  if (end.getInt32(0, true) !== buf(whole) || end.getUint32(4, true) !== size)
    throw new Error('it is cut off or damaged');
  return whole;
}
