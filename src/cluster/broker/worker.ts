/**
 * A worker takes jobs from a queue until it is stopped. Each is done by a child process, so that one that
 * runs out of memory takes neither the worker nor another job with it.
 *
 * A worker that is gone loses nothing: its jobs' leases run out, and the queue gives them to others. One that
 * is stopped saves its jobs and hands them back.
 */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, Queue, Worker } from 'bullmq';
import { Failure } from '../../experiment/errors.js';
import type { DeviceChoice } from '../../runtime/device/device.js';
import { Children, type ChildWork } from './children.js';
import type { Engine } from './engine.js';
import { type Idleness, idleness } from './idleness.js';
import { CANCELLED, isCancelled, openEnvelope, type Report, WORK } from './job.js';
import { KINDS } from './kinds.js';
import type { OpenedWork } from './work-kind.js';

export interface WorkerOptions {
  readonly engine: Engine;
  /** Jobs at a time. */
  readonly parallel: number;
  /** Worker threads of each job. */
  readonly threads: number;
  /** Where programs run; as jobs say unless given. */
  readonly device?: DeviceChoice;
  /** Folder for what workers do not share. */
  readonly folder: string;
  /** Seconds without a sign of life after which a worker's jobs go to others. */
  readonly lease: number;
  /** How long it waits without a job (default: for ever). */
  readonly idle?: Idleness;
  /** Stops it: what it does is saved and handed back. */
  readonly signal: AbortSignal;
  /** Told, in one line each, what it does. */
  readonly log?: (line: string) => void;
}

/** Workers that a job may take down with it; then it is failed, as it would take all of them. */
const LOST_WORKERS = 16;
/** Milliseconds between looks whether a job is still wanted, and between reports of progress. */
const LOOK = 2_000;
/** Milliseconds after which a job that cannot be done here is offered again. */
const LATER = 5_000;

const firstLine = (error: unknown): string => String((error as Error).message ?? error).split('\n')[0] ?? '';

/**
 * Serves a queue until `signal` is aborted or nothing has come for long. @throws LostServer where the server
 * is lost before it is served
 */
export async function serve(options: WorkerOptions): Promise<void> {
  const server = new Server(options);
  await server.run();
}

class Server {
  readonly #options: WorkerOptions;
  readonly #children: Children;
  readonly #queue: Queue;
  readonly #worker: Worker;
  readonly #underWay = new Map<string, ChildWork>();
  readonly #said = new Set<string>();
  readonly #idle: Idleness;

  constructor(options: WorkerOptions) {
    const { engine, parallel, lease } = options;
    this.#options = options;
    this.#idle = options.idle ?? idleness();
    this.#children = new Children(parallel);
    this.#queue = engine.queue(WORK);
    this.#worker = engine.worker(WORK, (job, token) => this.#process(job, token), {
      autorun: false,
      concurrency: parallel,
      lockDuration: 1000 * lease,
      stalledInterval: 500 * lease,
      maxStalledCount: LOST_WORKERS,
    });
    // What was given to another worker is not this one's any more.
    this.#worker.on('lockRenewalFailed', (jobs) => {
      for (const id of jobs) this.#underWay.get(id)?.stop();
    });
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const stop = (): void => {
      for (const child of this.#underWay.values()) child.stop();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (!(await this.#reached())) return await this.#worker.close(true);
      const running = this.#worker.run();
      running.catch(() => undefined);
      while (!signal.aborted && !this.#isIdle()) await pause(500, signal);
      if (signal.aborted) await this.#worker.pause(true);
      while (this.#underWay.size > 0) await sleep(50);
      // Who was idle has nothing left to say, and its server may be gone.
      await this.#worker.close(!signal.aborted);
    } finally {
      signal.removeEventListener('abort', stop);
      await this.#children.close();
    }
  }

  /** Whether the server is there before it is time to end: a lost one may be waited for without end. */
  async #reached(): Promise<boolean> {
    const ready = this.#options.engine.ready().then(() => true);
    if (!Number.isFinite(this.#idle.left())) return ready;
    const end = new AbortController();
    const late = sleep(this.#idle.left(), false, { signal: end.signal });
    return Promise.race([ready, late]).finally(() => end.abort());
  }

  #isIdle(): boolean {
    if (this.#underWay.size > 0) this.#idle.busy();
    return this.#idle.isOver();
  }

  async #process(job: Job, token: string): Promise<unknown> {
    const { engine } = this.#options;
    const read = openEnvelope(job.data);
    if ('garbage' in read) throw engine.final(read.garbage);
    if ('refused' in read) return this.#refuse(job, token, read.refused);
    if (read.cancelled) return CANCELLED;
    const kind = Object.hasOwn(KINDS, read.kind) ? KINDS[read.kind] : undefined;
    if (kind === undefined) throw engine.final(`expected a job of tautnet, got one of kind ${read.kind}`);
    const parsed = kind.schema.safeParse(read.data);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw engine.final(`${read.kind}: ${issue?.path.join('.')}: ${issue?.message}`);
    }
    let opened: OpenedWork | { readonly refused: string };
    try {
      const { folder, threads, device } = this.#options;
      const { address } = engine;
      opened = await kind.open(parsed.data, { id: job.id as string, folder, threads, device, address });
    } catch (error) {
      throw engine.final(firstLine(error));
    }
    if ('refused' in opened) return this.#refuse(job, token, opened.refused);
    return this.#perform(job, token, opened, kind.describe(parsed.data));
  }

  /** Leaves a job to others, and says why. */
  async #refuse(job: Job, token: string, refused: string): Promise<never> {
    if (!this.#said.has(refused)) this.#options.log?.(`a job was refused: ${refused}`);
    this.#said.add(refused);
    await job.updateProgress({ refused, by: hostname() } satisfies Report);
    return this.#later(job, token);
  }

  async #later(job: Job, token: string): Promise<never> {
    await job.moveToDelayed(Date.now() + LATER, token);
    throw this.#options.engine.movedToDelayed();
  }

  async #perform(job: Job, token: string, opened: OpenedWork, name: string): Promise<unknown> {
    const { engine, signal, log } = this.#options;
    const id = job.id as string;
    log?.(`${name}: begun`);
    const child = this.#children.start(opened.work, reporter(job));
    this.#underWay.set(id, child);
    if (signal.aborted) child.stop();
    let unwanted = false;
    const look = setInterval(async () => {
      const now = await this.#queue.getJob(id).catch(() => job);
      unwanted = now === undefined || isCancelled(now.data);
      if (unwanted) child.stop();
    }, LOOK);
    try {
      const outcome = await child.outcome;
      log?.(`${name}: ${'reason' in outcome ? `failed: ${outcome.reason}` : outcome.kind}`);
      if (outcome.kind === 'done') return await opened.answer(outcome.result);
      if (outcome.kind === 'failed' && outcome.busy) return await this.#later(job, token);
      if (outcome.kind === 'failed') throw engine.final(outcome.reason);
      if (unwanted) return CANCELLED;
      if (!signal.aborted) throw new Failure(`${name}: its lease ran out, another worker has it`);
      const more = await opened.handBack?.();
      if (more !== undefined) await job.updateData({ ...job.data, ...more });
      await job.moveToWait(token);
      throw engine.movedToWait();
    } finally {
      clearInterval(look);
      this.#underWay.delete(id);
    }
  }
}

/** Sleeps until the time or the signal. */
const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  sleep(milliseconds, undefined, { signal }).catch(() => undefined);

/** Hands progress on to the queue, not too often. */
function reporter(job: Job): (progress: unknown) => void {
  let last = Number.NEGATIVE_INFINITY;
  let stage: unknown;
  return (progress) => {
    const now = performance.now();
    const next = (progress as { stage?: unknown }).stage;
    if (next === stage && now - last < LOOK) return;
    last = now;
    stage = next;
    void job.updateProgress({ progress } satisfies Report).catch(() => undefined);
  };
}
