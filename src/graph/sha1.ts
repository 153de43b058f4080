/** SHA-1 of arrays, as short texts that are equal exactly where their bytes are. */
import { createHash } from 'node:crypto';

/** SHA-1 of an array's bytes in base64url. */
export const sha1 = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  createHash('sha1')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('base64url');
