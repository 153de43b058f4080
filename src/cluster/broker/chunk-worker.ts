/** Takes chunks of the present step from a session's queue and answers with their values. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, Worker } from 'bullmq';
import type { ExchangedTasks } from '../../evaluation/exchange.js';
import type { Engine } from './engine.js';
import { base64Of, type Chunk, chunkSchema, chunksOf } from './session.js';

/** Milliseconds that a chunk belongs to who took it; the leader gives late ones out again long before. */
const LEASE = 600_000;
/** Seconds of a wait for a chunk before other things are looked at. */
const WAIT = 1;

/** A chunk that was taken and whose values go back. */
export interface TakenChunk extends Chunk {
  answer(values: Uint8Array): Promise<void>;
}

export class ChunkWorker {
  readonly #worker: Worker;
  readonly #token: string;
  #taken = 0;

  constructor(engine: Engine, session: string) {
    this.#worker = engine.worker(chunksOf(session), null, {
      autorun: false,
      lockDuration: LEASE,
      skipLockRenewal: true,
      skipStalledCheck: true,
      drainDelay: WAIT,
    });
    this.#token = `${process.pid}-${Math.random()}`;
  }

  /** The next chunk; undefined if none came for a while. */
  async take(): Promise<TakenChunk | undefined> {
    const token = `${this.#token}-${this.#taken++}`;
    // While the server is away nothing comes.
    const job: Job | undefined = await this.#worker
      .getNextJob(token)
      .catch(() => sleep(500, undefined, { ref: false }));
    if (job === undefined) return undefined;
    const read = chunkSchema.safeParse(job.data);
    if (!read.success) {
      const reason = new Error('expected a chunk of a step, got something else');
      await job.moveToFailed(reason, token).catch(() => undefined);
      return undefined;
    }
    return {
      ...read.data,
      answer: async (values) => void (await job.moveToCompleted(base64Of(values), token, false)),
    };
  }
}

/** Computes a chunk's values and sends them. */
export async function answerChunk(chunk: TakenChunk, { compute }: ExchangedTasks): Promise<Uint8Array> {
  const values = await compute(chunk.from, chunk.to);
  await chunk.answer(values);
  return values;
}
