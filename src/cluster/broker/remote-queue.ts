/**
 * A queue that workers on other machines serve. It listens to the engine's events and, as events can be
 * missed and servers restarted, also looks at its jobs now and then; a job that has vanished is submitted
 * again.
 *
 * The number of a job's try is part of its name in the queue, so that whoever goes on with the same work,
 * after this process was killed say, finds what was done meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queue, QueueEvents } from 'bullmq';
import { Outbox } from '../outbox.js';
import type { Job, Outcome, WorkQueue } from '../queue.js';
import { type Engine, JOB_OPTIONS } from './engine.js';
import { CANCELLED, type Envelope, isCancelled, reportSchema, WORK } from './job.js';

/** How jobs of one kind travel. */
export interface Carrier<Work extends Job, Result> {
  /** Begins the names of the jobs in the queue; letters, digits and -. */
  readonly prefix: string;
  encode(job: Work): Promise<Envelope>;
  /** Takes what a worker answered. @throws Error if it is not what is expected */
  decode(job: Work, answer: unknown): Promise<Result>;
}

export interface RemoteQueueOptions<Work extends Job, Result> {
  readonly engine: Engine;
  readonly carrier: Carrier<Work, Result>;
  /** Jobs in the queue at a time. */
  readonly capacity: number;
  /** Ids of jobs of which the queue's failures are forgotten (default: none). */
  readonly anew?: ReadonlySet<string>;
  readonly progress?: (id: string, progress: unknown) => void;
  /** Told, in one line and once each, why workers refuse jobs. */
  readonly onNotice?: (line: string) => void;
}

/**
 * Milliseconds between looks at all jobs, between tries while the server is away, and for workers to stop.
 */
const LOOK = 5_000;
const RETRY = 1_000;
const FAREWELL = 90_000;

interface UnderWay<Work> {
  readonly job: Work;
  /** Its name in the queue. */
  readonly name: string;
  /** Whether its end is being taken. */
  ending: boolean;
}

/** Jobs in an engine's queue. */
export class RemoteQueue<Work extends Job, Result> implements WorkQueue<Work, Result> {
  readonly #options: RemoteQueueOptions<Work, Result>;
  readonly #queue: Queue;
  readonly #events: QueueEvents;
  readonly #underWay = new Map<string, UnderWay<Work>>();
  readonly #tries = new Map<string, number>();
  readonly #ended = new Outbox<Result>();
  readonly #told = new Set<string>();
  /** Names of jobs that have ended. */
  readonly #done: string[] = [];
  readonly #looks: NodeJS.Timeout;
  #closing = false;

  constructor(options: RemoteQueueOptions<Work, Result>) {
    this.#options = options;
    this.#queue = options.engine.queue(WORK);
    this.#events = options.engine.events(WORK);
    this.#events.on('completed', ({ jobId }) => this.#look(jobId));
    this.#events.on('failed', ({ jobId }) => this.#look(jobId));
    this.#events.on('progress', ({ jobId, data }) => this.#reported(jobId, data));
    this.#looks = setInterval(() => this.#lookAtAll(), LOOK);
  }

  get capacity(): number {
    return this.#options.capacity;
  }

  /** @throws Failure if the server was lost while connecting */
  async submit(job: Work): Promise<void> {
    await this.#options.engine.ready();
    const attempt = (this.#tries.get(job.id) ?? 0) + 1;
    this.#tries.set(job.id, attempt);
    const name = `${this.#options.carrier.prefix}-${job.id}-${attempt}`;
    this.#underWay.set(name, { job, name, ending: false });
    await this.#add(name, this.#options.anew?.has(job.id));
  }

  async cancel(id: string): Promise<void> {
    const found = [...this.#underWay.values()].find(({ job }) => job.id === id);
    if (found !== undefined) await this.#persist(() => this.#withdraw(found));
  }

  results(): AsyncIterable<Outcome<Result>> {
    return this.#ended.all();
  }

  /** Removes what has ended from the queue: nobody will ask for it again. */
  async forget(): Promise<void> {
    const gone = this.#done.splice(0).map(async (name) => (await this.#queue.getJob(name))?.remove());
    await Promise.allSettled(gone);
  }

  /** Takes back what waits and waits for workers to save what they have begun. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const deadline = Date.now() + FAREWELL;
    const withdraw = () =>
      Promise.all([...this.#underWay.values()].map((each) => this.#withdraw(each).catch(() => undefined)));
    for (await withdraw(); this.#underWay.size > 0 && Date.now() < deadline; await sleep(RETRY))
      await withdraw();
    clearInterval(this.#looks);
    for (const { name } of this.#underWay.values()) this.#end(name, { kind: 'cancelled' });
  }

  /** @param anew whether a failure of that name is forgotten */
  async #add(name: string, anew = false): Promise<void> {
    const entry = this.#underWay.get(name);
    if (entry === undefined) return;
    const data = await this.#options.carrier.encode(entry.job);
    await this.#persist(async () => {
      const before = await this.#queue.getJob(name);
      if (before && (isCancelled(before.returnvalue) || (anew && (await before.isFailed()))))
        await before.remove();
      await this.#queue.add(data.kind, data, { ...JOB_OPTIONS, jobId: name });
    });
    // Nobody tells again of what ended before it was asked for.
    this.#look(name);
  }

  /** Tries until the server answers; while everything is closed only once. */
  async #persist<T>(work: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (this.#closing) return undefined;
        this.#notice((error as Error).message);
        await sleep(RETRY);
      }
    }
  }

  #lookAtAll(): void {
    for (const name of this.#underWay.keys()) this.#look(name);
  }

  #look(name: string): void {
    if (this.#underWay.has(name)) this.#lookAt(name).catch(() => undefined);
  }

  /** Takes a job's end if it has one. */
  async #lookAt(name: string): Promise<void> {
    // The state first: what is read after it has ended is whole.
    const state = await this.#queue.getJobState(name);
    const found = await this.#queue.getJob(name);
    const entry = this.#underWay.get(name);
    if (entry === undefined || entry.ending) return;
    if (found === undefined) {
      if (!this.#closing) await this.#add(name);
      return;
    }
    if (state === 'failed') this.#end(name, { kind: 'failed', reason: found.failedReason });
    else if (state === 'completed') await this.#take(entry, found.returnvalue);
    else if (found.progress !== 0) this.#reported(name, found.progress);
  }

  async #take(entry: UnderWay<Work>, answer: unknown): Promise<void> {
    if (isCancelled(answer)) return this.#end(entry.name, { kind: 'cancelled' });
    entry.ending = true;
    try {
      const result = await this.#options.carrier.decode(entry.job, answer);
      this.#end(entry.name, { kind: 'done', result });
    } catch (error) {
      this.#end(entry.name, { kind: 'failed', reason: (error as Error).message });
    }
  }

  /** Removes a job that waits; one that is worked on is marked, and its worker stops. */
  async #withdraw({ name }: UnderWay<Work>): Promise<void> {
    const found = await this.#queue.getJob(name);
    if (found === undefined) return this.#end(name, { kind: 'cancelled' });
    const state = await found.getState();
    if (state === 'completed' || state === 'failed') return this.#lookAt(name);
    if (state === 'active') return void (await found.updateData({ ...found.data, ...CANCELLED }));
    await found.remove();
    this.#end(name, { kind: 'cancelled' });
  }

  #reported(name: string, data: unknown): void {
    const entry = this.#underWay.get(name);
    const report = reportSchema.safeParse(data);
    if (entry === undefined || !report.success) return;
    if ('refused' in report.data) this.#notice(`${report.data.by}: ${report.data.refused}`);
    else this.#options.progress?.(entry.job.id, report.data.progress);
  }

  #notice(line: string): void {
    if (this.#told.has(line)) return;
    this.#told.add(line);
    this.#options.onNotice?.(line);
  }

  #end(name: string, how: DistributiveOmit<Outcome<Result>, 'id'>): void {
    const entry = this.#underWay.get(name);
    if (entry === undefined) return;
    this.#underWay.delete(name);
    this.#done.push(name);
    this.#ended.add({ id: entry.job.id, ...how } as Outcome<Result>);
  }
}

type DistributiveOmit<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never;
