/** `sha1.ts` without Node. A browser's own hashes are promises, and a graph is encoded at once. */
import { sha1 as digest } from '@noble/hashes/legacy.js';

/** SHA-1 of an array's bytes in base64url. */
export const sha1 = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  btoa(String.fromCharCode(...digest(new Uint8Array(buffer, byteOffset, byteLength))))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
