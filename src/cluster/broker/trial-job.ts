/**
 * Trials of a sweep as they travel: settings out, a result back, and the run with both where no folder is
 * shared.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { runPaths } from '../../experiment/run/run-folder.js';
import { resolveSettings } from '../../experiment/settings/resolve-settings.js';
import type { GivenSettings } from '../../experiment/settings/settings.js';
import { sweepDefinitionFile, trialFolder } from '../sweep-folder.js';
import type { TrialJob, TrialResult } from '../trial.js';
import { enveloped } from './job.js';
import { packRun, parcelSchema, unpackRun } from './parcel.js';
import type { Carrier } from './remote-queue.js';
import type { Site, WorkKind } from './work-kind.js';

const judgeSchema = z.strictObject({
  on: z.enum(['validation', 'test']),
  images: z.int().min(1).optional(),
  attack: z.strictObject({ steps: z.int().min(1), restarts: z.int().min(1) }).optional(),
  complete: z.number().positive().optional(),
  losses: z.array(z.string().max(200)).max(100).readonly().optional(),
  lossImages: z.int().min(1).optional(),
});

const trialSchema = z.strictObject({
  sweep: z.strictObject({ folder: z.string().max(4096), digest: z.string().regex(/^[0-9a-f]{64}$/) }),
  trial: z.string().regex(/^\d{1,9}-\d{1,3}$/),
  settings: z.record(z.string(), z.unknown()),
  budget: z.number().positive().optional(),
  judge: judgeSchema,
  /** Whether the run may travel. */
  ships: z.boolean(),
  run: parcelSchema.optional(),
});
type TrialData = z.infer<typeof trialSchema>;

const accuracy = z.number().min(0).max(1);
const resultSchema = z.strictObject({
  images: z.int().min(0),
  natural: accuracy,
  certified: accuracy,
  adversarial: accuracy,
  losses: z.record(z.string(), z.number()),
  judgingSeconds: z.number().optional(),
  epochs: z.number(),
  minutes: z.number(),
  digest: z.string(),
  commit: z.string(),
}) satisfies z.ZodType<TrialResult>;
const answerSchema = z.strictObject({ result: resultSchema, run: parcelSchema.optional() });

/** SHA-256 of a sweep's definition: by it workers know the folder that they share. */
const digestOf = async (sweep: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(sweepDefinitionFile(sweep)))
    .digest('hex');

/** How the trials of the sweep in a folder travel. @throws FileError */
export async function trialCarrier(path: string, ships: boolean): Promise<Carrier<TrialJob, TrialResult>> {
  const folder = resolve(path);
  const digest = await digestOf(folder);
  return {
    prefix: digest.slice(0, 16),
    async encode({ id, settings: { out, ...settings }, budget, judge }) {
      const run = ships ? await packRun(out as string) : undefined;
      const data = { sweep: { folder, digest }, trial: id, settings, budget, judge, ships, run };
      return enveloped('trial', data satisfies TrialData);
    },
    async decode({ settings: { out } }, answer) {
      const read = answerSchema.safeParse(answer);
      if (!read.success) throw new Error('expected the result of a trial, got something else');
      const { result, run } = read.data;
      if (run !== undefined) await unpackRun(out as string, run);
      return result;
    },
  };
}

const numberOf = (trial: string): number => Number(trial.split('-')[0]);

/** Where a worker has the run of a trial: in the sweep's folder, if it is there, or among its own. */
async function placeOf(
  { sweep, trial, ships }: TrialData,
  { id, folder }: Site,
): Promise<{ refused: string } | { shared: boolean; out: string }> {
  const found = await digestOf(sweep.folder).catch(() => undefined);
  const shared = found === sweep.digest;
  if (!shared && !ships)
    return {
      refused:
        `expected the folder ${sweep.folder} of the sweep, ${hostname()} has it not; mount it there, ` +
        'or let runs travel with `tautnet sweep --ship-runs`',
    };
  const out = shared
    ? trialFolder(sweep.folder, { number: numberOf(trial) })
    : join(folder, createHash('sha256').update(id).digest('hex').slice(0, 32));
  return { shared, out };
}

/** What a worker does with a trial. */
export const trialKind: WorkKind<TrialData> = {
  schema: trialSchema,
  describe: ({ trial, sweep }) => `trial ${trial} of ${sweep.folder}`,
  async open(data, site) {
    const { id, threads, device } = site;
    const place = await placeOf(data, site);
    if ('refused' in place) return place;
    const { shared, out } = place;
    const settings = { ...(data.settings as GivenSettings), out, ...(device && { device }) };
    resolveSettings(settings);
    // What this worker has of the run is as good: every state of it is on the way to the same bits.
    if (!shared && data.run !== undefined && !existsSync(runPaths(out).config))
      await unpackRun(out, data.run);
    const { budget, judge } = data;
    return {
      work: { kind: 'trial', id, settings, budget, judge, threads, ...(device && { device }) },
      async answer(result) {
        if (shared) return { result };
        const run = await packRun(out);
        await rm(out, { recursive: true, force: true });
        return { result, run };
      },
      handBack: async () => (shared ? {} : { run: await packRun(out) }),
    };
  },
};
