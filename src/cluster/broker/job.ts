/**
 * What travels to a worker: plain data of a known version, checked before anything is done with it. No code
 * travels, and no path that a worker would write to.
 */
import { z } from 'zod';
import { VERSION } from '../../experiment/version.js';

/** The queue of all jobs. */
export const WORK = 'work';

/** Version of the layout of jobs. */
export const JOB_FORMAT = 1;

/** Who wrote a job, and of which kind it is. */
const envelope = z.looseObject({
  tautnet: z.strictObject({ format: z.int(), version: z.string().max(64) }),
  kind: z.string().max(32),
  cancelled: z.boolean().optional(),
});

/** A job as it is in the queue. */
export interface Envelope {
  readonly tautnet: { readonly format: number; readonly version: string };
  readonly kind: string;
  /** Set by who submitted it and wants it no more. */
  readonly cancelled?: boolean;
}

/** A job of this version. */
export const enveloped = <Data extends object>(kind: string, data: Data): Envelope & Data => ({
  ...data,
  tautnet: { format: JOB_FORMAT, version: VERSION },
  kind,
});

/** What a job's data is: nothing of ours, of another version, or a kind with its own data, unchecked. */
export type Opened =
  | { readonly garbage: string }
  | { readonly refused: string }
  | { readonly kind: string; readonly cancelled: boolean; readonly data: unknown };

export function openEnvelope(data: unknown): Opened {
  const read = envelope.safeParse(data);
  if (!read.success) return { garbage: 'expected a job of tautnet, got something else' };
  const { tautnet, kind, cancelled = false, ...rest } = read.data;
  if (tautnet.format !== JOB_FORMAT || tautnet.version !== VERSION)
    return {
      refused:
        `expected a job of tautnet ${VERSION} (format ${JOB_FORMAT}), got one of ${tautnet.version} ` +
        `(format ${tautnet.format}); install the same version on all machines`,
    };
  return { kind, cancelled, data: rest };
}

/** How far a job is, or why a worker does not take it. */
export const reportSchema = z.union([
  z.strictObject({ refused: z.string().max(1000), by: z.string().max(200) }),
  z.strictObject({ progress: z.unknown() }),
]);
export type Report = z.infer<typeof reportSchema>;

/** What a worker answers where the job was cancelled. */
export const CANCELLED = { cancelled: true } as const;
export const isCancelled = (result: unknown): boolean =>
  (result as { cancelled?: unknown } | null)?.cancelled === true;
