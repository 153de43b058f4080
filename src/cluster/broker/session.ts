/**
 * What the processes of one training say to each other through a queue. Its leader is the process that keeps
 * the run; followers compute values for it. Two queues of the engine carry it:
 *
 * - `chunks-S`: tasks of the present step; whoever is free takes some and answers with their values.
 * - `notes-S`: jobs that nobody does, read by their names: `log-7`, all values of step 7; `snapshot-0` …, the
 * state that a process begins with, in parts; `join`, the wish for one; `pulse`, which counts while the
 * leader lives; `end`.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, Queue } from 'bullmq';
import { z } from 'zod';
import { type Engine, JOB_OPTIONS } from './engine.js';

export const chunksOf = (session: string): string => `chunks-${session}`;
const notesOf = (session: string): string => `notes-${session}`;

/** A chunk of a step's tasks: from, …, to − 1. */
export const chunkSchema = z.strictObject({ step: z.int().min(0), from: z.int().min(0), to: z.int().min(1) });
export type Chunk = z.infer<typeof chunkSchema>;

/** All values of a step, and by what θ its leader has computed. */
export const logSchema = z.strictObject({ values: z.base64(), theta: z.string().optional() });
export type Log = z.infer<typeof logSchema>;

/** The first part of a snapshot says how many there are. */
const partSchema = z.strictObject({ step: z.int().min(0), parts: z.int().min(1), bytes: z.base64() });

/** Bytes of a part of a snapshot. */
const PART = 8 * 2 ** 20;

/** Steps between looks whether all have the same θ. */
const CHECKED = 16;
export const isChecked = (step: number): boolean => step % CHECKED === 0;

/** First bytes of the SHA-256 of θ. */
export const hashOf = (theta: Float32Array): string =>
  createHash('sha256')
    .update(new Uint8Array(theta.buffer, theta.byteOffset, theta.byteLength))
    .digest('hex')
    .slice(0, 16);

export const base64Of = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
export const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));

/** Milliseconds between tries while a server is away, and after which it is given up. */
const RETRY = 500;
const PATIENCE = 300_000;

/** Does something at a server that may be away for a while. @throws the last error */
export async function insist<T>(work: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + PATIENCE; ; ) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(RETRY);
    }
  }
}

/** The notes of a session. */
export class Notes {
  readonly queue: Queue;

  constructor(engine: Engine, session: string) {
    this.queue = engine.queue(notesOf(session));
  }

  async write(name: string, data: object): Promise<void> {
    await insist(() => this.queue.add(name, data, { ...JOB_OPTIONS, jobId: name }));
  }

  /** Data of a note, unchecked; undefined where there is none. */
  async read(name: string): Promise<unknown> {
    return (await insist<Job | undefined>(() => this.queue.getJob(name)))?.data;
  }

  async remove(name: string): Promise<void> {
    await insist(async () => (await this.queue.getJob(name))?.remove());
  }

  async writeSnapshot(step: number, state: Uint8Array): Promise<void> {
    const parts = Math.max(1, Math.ceil(state.length / PART));
    for (let part = parts - 1; part >= 0; part--) {
      const bytes = base64Of(state.subarray(part * PART, (part + 1) * PART));
      await this.remove(`snapshot-${part}`);
      await this.write(`snapshot-${part}`, { step, parts, bytes });
    }
  }

  /** The state that was written last, if it is whole. */
  async readSnapshot(): Promise<{ step: number; state: Uint8Array } | undefined> {
    const first = partSchema.safeParse(await this.read('snapshot-0'));
    if (!first.success) return undefined;
    const { step, parts } = first.data;
    const all = [bytesOf(first.data.bytes)];
    for (let part = 1; part < parts; part++) {
      const next = partSchema.safeParse(await this.read(`snapshot-${part}`));
      if (!next.success || next.data.step !== step) return undefined;
      all.push(bytesOf(next.data.bytes));
    }
    return { step, state: Buffer.concat(all) };
  }

  /** Removes all of it from the server. */
  async obliterate(): Promise<void> {
    await this.queue.obliterate({ force: true });
  }
}
