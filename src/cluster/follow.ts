/** A follower of a training that another machine leads, as a piece of work. */
import { prepare } from '../experiment/prepare-training.js';
import { resolveSettings } from '../experiment/settings/resolve-settings.js';
import type { GivenSettings } from '../experiment/settings/settings.js';
import { createPool } from '../runtime/pool/pool.js';
import { type TrainingOptions, training } from '../training/loop.js';
import type { Address } from './broker/address.js';
import { Astray, Follower, Over } from './broker/follower.js';
import { withEngine } from './broker/reconnect.js';

/** A training to be followed. */
export interface FollowWork {
  readonly kind: 'follow';
  readonly id: string;
  readonly address: Address;
  readonly session: string;
  readonly settings: GivenSettings;
  readonly threads: number;
}

/**
 * Follows a training until it has ended or its leader is gone.
 * @returns steps that were followed
 * @throws the reason of `signal`; Failure, UsageError, DataError as training does
 */
export async function follow(work: FollowWork, signal?: AbortSignal): Promise<{ steps: number }> {
  const { address, session, threads } = work;
  const settings = resolveSettings({ ...work.settings, threads, out: 'followed' });
  const pool = createPool(threads);
  try {
    const { options } = await prepare(settings, pool, undefined, signal);
    return await withEngine(address, { signal }, async (engine) => {
      const exchange = new Follower(engine, session, signal);
      await engine.ready();
      return { steps: await followed(exchange, options) };
    });
  } finally {
    await pool.close();
  }
}

/** Follows from where the leader is, and from there again where it was lost sight of; steps taken. */
async function followed(exchange: Follower, options: TrainingOptions): Promise<number> {
  for (let steps = 0; ; ) {
    try {
      const state = await exchange.join();
      for await (const _ of training({ ...options, exchange }, state)) steps++;
      return steps;
    } catch (error) {
      if (error instanceof Over) return steps;
      if (!(error instanceof Astray)) throw error;
    }
  }
}
