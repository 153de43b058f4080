/** `--certificate FILE` of `certify` and `verify`: how what was proved is proved again by the checker. */
import { readFile } from 'node:fs/promises';
import type { Split } from '../data/dataset.js';
import type { ImageTask } from '../experiment/verification-task.js';
import { writeFileAtomic } from '../formats/atomic-file.js';
import { toFileError } from '../formats/file-error.js';
import { type CertifiedProofs, encodeCertificate } from '../verification/certificate/format.js';
import { imageCertificate } from '../verification/certificate/images.js';
import { propertyCertificate } from '../verification/certificate/property.js';
import type { Verdict } from '../verification/certification/verdict.js';
import type { BoxTrace } from '../verification/proof/trace.js';
import type { Ball } from '../verification/property/robustness.js';
import type { Io } from './command.js';

/** Milliseconds between two lines of progress. */
const INTERVAL = 10_000;

export interface CertifiedImages {
  readonly file: string;
  readonly split: Split;
  readonly ball: Ball;
  readonly verdicts: readonly Verdict[];
  readonly traces?: ReadonlyMap<number, readonly BoxTrace[]>;
}

/** Writes the certificate of all certified images, and says of how many. */
export const writeImageCertificate = (path: string, about: CertifiedImages, io: Io): Promise<void> =>
  write(path, 'image', io, async (progress) =>
    imageCertificate({ ...about, model: await contentOf(about.file), progress, signal: io.signal }),
  );

export interface ProvedProperty {
  readonly file: string;
  /** What it may take. */
  readonly seconds: number;
  /** How the search proved it. */
  readonly traces: readonly BoxTrace[];
  /** What was verified: a file, or the ball around an image. */
  readonly propertyPath?: string;
  readonly image?: ImageTask;
}

/** Writes the certificate of a property, or of the one image that stands for it, and says so. */
export const writePropertyCertificate = (path: string, about: ProvedProperty, io: Io): Promise<void> =>
  write(path, about.image ? 'image' : 'polytope', io, async (progress) => {
    const { image, seconds, traces } = about;
    const shared = { model: await contentOf(about.file), progress, signal: io.signal };
    if (image === undefined)
      return propertyCertificate({
        ...shared,
        property: await contentOf(about.propertyPath as string),
        seconds,
        traces,
      });
    const { split, index, ball } = image;
    const label = split.labels[index] as number;
    // What proved it is another matter here: the checker finds it by itself.
    const verdict = {
      image: index,
      label,
      verdict: 'certified',
      stage: 'branch-and-bound',
      margin: 0,
    } as const;
    return imageCertificate({
      ...shared,
      ...{ split, ball, verdicts: [verdict], secondsPerImage: seconds },
      traces: new Map([[index, traces]]),
    });
  });

async function write(
  path: string,
  what: 'image' | 'polytope',
  io: Io,
  make: (progress: (done: number, total: number) => void) => Promise<CertifiedProofs>,
): Promise<void> {
  let told = Date.now();
  const progress = (done: number, total: number) => {
    if (Date.now() - told < INTERVAL) return;
    told = Date.now();
    io.stderr.write(`certificate: ${done}/${total} ${what}s\n`);
  };
  const { certificate, proved, without } = await make(progress).catch((error: unknown) => {
    if (io.signal.aborted || !(error instanceof Error)) throw error;
    io.stderr.write(`no certificate: ${error.message}\n`);
    return { certificate: undefined, proved: 0, without: new Map<string, number>() };
  });
  for (const [reason, count] of without)
    io.stderr.write(`no certificate of ${count} ${what}${count === 1 ? '' : 's'}: ${reason}\n`);
  // A property is proved whole or not at all.
  if (certificate === undefined || (what === 'polytope' && without.size > 0)) return;
  const bytes = encodeCertificate(certificate);
  await writeFileAtomic(path, bytes);
  io.stderr.write(
    `certificate of ${proved} ${what}${proved === 1 ? '' : 's'} in ${path}, ${bytes.length} bytes\n`,
  );
}

const contentOf = (path: string): Promise<Buffer> =>
  readFile(path).catch((error: unknown) => {
    throw toFileError(path, 'read', error);
  });
