/**
 * Instances of the verification competition as they travel: names of two shared files out, an answer back.
 */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import type { Instance, InstanceAnswer } from '../instance.js';
import type { Job } from '../queue.js';
import { enveloped } from './job.js';
import type { Carrier } from './remote-queue.js';
import type { WorkKind } from './work-kind.js';

const path = z.string().max(4096);
const instanceSchema = z.strictObject({
  models: z
    .array(z.strictObject({ name: z.string().optional(), path }))
    .min(1)
    .readonly(),
  vnnlib: path,
  limit: z.number().positive(),
  sound: z.boolean().optional(),
}) satisfies z.ZodType<Instance>;

const answerSchema = z.strictObject({
  verdict: z.string(),
  stage: z.string().nullable(),
  subproblems: z.number(),
  lowerBound: z
    .number()
    .nullable()
    .transform((bound) => bound ?? undefined)
    .optional(),
  seconds: z.number(),
});

/** An instance with a name. */
export interface InstanceJob extends Job, Instance {}

/** How instances travel. @param prefix begins their names */
export const instanceCarrier = (prefix: string): Carrier<InstanceJob, InstanceAnswer> => ({
  prefix,
  encode: async ({ models, vnnlib, limit, sound }) => enveloped('instance', { models, vnnlib, limit, sound }),
  async decode(_, answer) {
    const read = answerSchema.safeParse(answer);
    if (!read.success) throw new Error('expected the answer to an instance, got something else');
    return read.data;
  },
});

/** What a worker does with an instance; files that nobody has are an answer, too. */
export const instanceKind: WorkKind<Instance> = {
  schema: instanceSchema,
  describe: ({ models, vnnlib }) => `${models.map(({ path }) => path).join(' ')} ${vnnlib}`,
  async open(instance, { id, threads, device }) {
    const missing = instance.models.find(({ path }) => !existsSync(path));
    if (missing !== undefined && !existsSync(instance.vnnlib))
      return { refused: `expected ${missing.path}, ${hostname()} has it not; share its folder` };
    return {
      work: { kind: 'instance', id, ...instance, threads, ...(device && { device }) },
      answer: async (result) => result,
    };
  },
};
