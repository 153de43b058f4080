/** Unpacking of gzip's bytes. */
import { gunzipSync } from 'node:zlib';

/** What bytes unpack to. @throws Error if they are damaged, cut off, or unpack to more than `most` bytes */
export const gunzip = (bytes: Uint8Array, most: number): Uint8Array =>
  gunzipSync(bytes, { maxOutputLength: most });
