/** Parts of a certification as they travel: a range of images out, their verdicts back. */

import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import { stageNames, type Verdict } from '../../verification/certification/verdict.js';
import { provingRelaxations } from '../../verification/proof/batch-size.js';
import type { CertifiedWhat, PartReport } from '../certify-part.js';
import type { Job } from '../queue.js';
import { enveloped } from './job.js';
import type { Carrier } from './remote-queue.js';
import type { WorkKind } from './work-kind.js';

const count = z.int().min(1);
const whatSchema = z.strictObject({
  path: z.string().max(4096),
  dataset: z.string().max(100),
  dataDir: z.string().max(4096).optional(),
  epsilon: z.number().positive().max(1),
  clipBox: z.boolean(),
  attack: z.strictObject({ steps: count.optional(), restarts: count.optional() }),
  relaxation: z.enum(provingRelaxations).optional(),
  sound: z.boolean().optional(),
  seed: z.int().min(0).optional(),
  complete: z.strictObject({ seconds: z.number().positive(), bytes: z.number().positive() }).optional(),
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
}) satisfies z.ZodType<CertifiedWhat>;

const partSchema = z.strictObject({ what: whatSchema, start: z.int().min(0), end: count });
type Part = z.infer<typeof partSchema>;

/** JSON has no infinities: no bound at all is null. */
const margin = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NEGATIVE_INFINITY);
const verdictSchema = z.strictObject({
  image: z.int().min(0),
  label: z.int().min(0),
  verdict: z.enum(['certified', 'falsified', 'undecided']),
  stage: z.enum(stageNames).nullable(),
  margin,
  /** Of float32, little endian. */
  counterexample: z.base64().optional(),
});
const stageSchema = z.strictObject({
  images: z.int().min(0),
  certified: z.int().min(0),
  falsified: z.int().min(0),
  seconds: z.number().min(0),
  skipped: z.string().max(1000).optional(),
});
const reportSchema = z.strictObject({
  verdicts: z.array(verdictSchema),
  stages: z.partialRecord(z.enum(stageNames), stageSchema),
});

/** A range of images. */
export interface PartJob extends Job {
  readonly start: number;
  readonly end: number;
}

const packed = (verdict: Verdict) =>
  'counterexample' in verdict
    ? { ...verdict, counterexample: Buffer.from(Uint8Array.from(bytesOf(verdict))).toString('base64') }
    : verdict;
const bytesOf = ({ counterexample }: { counterexample: Float32Array }) =>
  new Uint8Array(counterexample.buffer, counterexample.byteOffset, counterexample.byteLength);

function unpacked({ counterexample, ...verdict }: z.infer<typeof verdictSchema>): Verdict {
  if (counterexample === undefined) return verdict as Verdict;
  const bytes = Uint8Array.from(Buffer.from(counterexample, 'base64'));
  return { ...verdict, counterexample: new Float32Array(bytes.buffer) } as Verdict;
}

/** How parts of a certification travel. @param prefix begins their names */
export const partCarrier = (what: CertifiedWhat, prefix: string): Carrier<PartJob, PartReport> => ({
  prefix,
  encode: async ({ start, end }) => enveloped('certify', { what, start, end }),
  async decode({ start, end }, answer) {
    const read = reportSchema.safeParse(answer);
    const whole =
      read.success &&
      read.data.verdicts.length === end - start &&
      read.data.verdicts.every(({ image }, i) => image === start + i);
    if (!whole) throw new Error(`expected verdicts on the images ${start} to ${end - 1}, got something else`);
    const { verdicts, stages } = read.data;
    return { verdicts: verdicts.map(unpacked), stages: stages as PartReport['stages'] };
  },
});

/** What a worker does with a part. */
export const certifyKind: WorkKind<Part> = {
  schema: partSchema,
  describe: ({ what, start, end }) => `certification of ${what.path}, images ${start} to ${end - 1}`,
  async open({ what, start, end }, { id, threads, device }) {
    if (!existsSync(what.path))
      return { refused: `expected ${what.path}, ${hostname()} has it not; share its folder` };
    return {
      work: { kind: 'certify', id, what, start, end, threads, ...(device && { device }) },
      async answer(result) {
        const { verdicts, stages } = result as PartReport;
        return { verdicts: verdicts.map(packed), stages };
      },
    };
  },
};
