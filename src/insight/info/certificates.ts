/** What a certificate of `--certificate` proves, and of what: read, not checked. */
import { createHash } from 'node:crypto';
import { quoted } from '../../experiment/run/summary.js';
import { FormatError } from '../../formats/format-error.js';
import type { Claim, Proof } from '../../verification/certificate/format.js';
import { counted, type Description } from './description.js';

/** Text that begins as a certificate does, out of gzip. */
export const isCertificate = (start: string): boolean => start.startsWith('{"certificate":');

interface Content {
  readonly certificate: unknown;
  readonly model: string;
  readonly claim: Claim;
  readonly proofs: readonly Proof[];
}

/** @throws FormatError for a file that is torn or was changed */
function contentOf(path: string, bytes: Uint8Array): Content {
  const [line = '', seal] = new TextDecoder().decode(bytes).split('\n');
  if (createHash('sha256').update(line).digest('hex') !== seal)
    throw new FormatError(
      `${path}: expected a certificate and its SHA-256, got other bytes; write it again with --certificate`,
    );
  return JSON.parse(line) as Content;
}

/** @throws FormatError for a file that is torn or was changed, or of another version */
export function describeCertificate(path: string, bytes: Uint8Array): Omit<Description, 'path' | 'bytes'> {
  const { certificate, model, claim, proofs } = contentOf(path, bytes);
  if (certificate !== 1 || !Array.isArray(proofs) || !claim)
    throw new FormatError(
      `${path}: expected a certificate of version 1, got ${JSON.stringify(certificate)}; ` +
        'take the tautnet that wrote it',
    );
  const ofImages = 'images' in claim;
  const proved = counted(proofs.reduce((sum, proof) => sum + (proof?.of?.length ?? 0), 0));
  return {
    kind: `certificate of ${ofImages ? 'images' : 'a property'}`,
    facts: [
      [ofImages ? 'images proved' : 'polytopes proved', proved],
      ...(ofImages
        ? ([['ball', `ε = ${claim.epsilon}${claim.clip ? ', cut to [0, 1]' : ''}`]] as const)
        : []),
      ['SHA-256 of the network', model],
      [`SHA-256 of the ${ofImages ? 'images' : 'property'}`, ofImages ? claim.images : claim.property],
    ],
    next: [
      `tautnet check ${quoted(path)} `.concat(
        ofImages ? '<folder of the run>' : '<network.onnx> <property.vnnlib>',
      ),
    ],
  };
}
