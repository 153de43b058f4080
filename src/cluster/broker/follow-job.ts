/** Offers to follow a training as they travel: its settings, and the session in which its leader speaks. */
import { z } from 'zod';
import { resolveSettings } from '../../experiment/settings/resolve-settings.js';
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { WorkKind } from './work-kind.js';

const offerSchema = z.strictObject({
  session: z.string().regex(/^[0-9a-f]{16}$/),
  settings: z.record(z.string(), z.unknown()),
});
type Offer = z.infer<typeof offerSchema>;

/** What a worker does with an offer. */
export const followKind: WorkKind<Offer> = {
  schema: offerSchema,
  describe: ({ session }) => `a part in the training ${session}`,
  async open({ session, settings }, { id, threads, address }) {
    const given = settings as GivenSettings;
    resolveSettings({ ...given, out: 'followed' });
    return {
      work: { kind: 'follow', id, address, session, settings: given, threads },
      answer: async (result) => result,
    };
  },
};
