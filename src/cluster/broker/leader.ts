/**
 * The leader of a training over several machines: it cuts each step's tasks into chunks, computes some of
 * them itself, and gives all values to everybody. It waits for nobody: a chunk that is late is given out
 * again, and the first values count, as everybody's are the same.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queue, QueueEvents } from 'bullmq';
import type { ExchangedTasks } from '../../evaluation/exchange.js';
import { encodeCheckpoint } from '../../experiment/run/checkpoint.js';
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { StepExchange } from '../../training/placement/placement.js';
import { ChunkWorker, type TakenChunk } from './chunk-worker.js';
import { type Engine, JOB_OPTIONS } from './engine.js';
import { enveloped, WORK } from './job.js';
import { base64Of, bytesOf, chunksOf, hashOf, insist, isChecked, Notes } from './session.js';

export interface LeaderOptions {
  readonly engine: Engine;
  /** Settings of the run, which followers have to have. */
  readonly settings: GivenSettings;
  /** Worker threads of this process. */
  readonly threads: number;
}

/** Chunks of a step, in all and for each process at least: who is twice as fast gets twice as many. */
const CHUNKS = 32;
const CHUNKS_EACH = 4;
/**
 * Milliseconds after which a chunk is given out again at the earliest, and in multiples of what others
 * took.
 */
const LATE = 3_000;
const MUCH_LATER = 4;
/** Steps whose values are kept for who is behind, and steps after which a snapshot is removed. */
const KEPT = 64;
/** Milliseconds between signs of life, and offers that wait at a time. */
const PULSE = 2_000;
const OFFERS = 4;

/** One step under way. */
interface Round {
  readonly step: number;
  readonly started: number;
  /** Values by the first task of their chunk. */
  readonly values: Map<number, Uint8Array>;
  /** Milliseconds that chunks took until they were there. */
  readonly took: number[];
}

export class Leader implements StepExchange {
  readonly session = randomUUID().replaceAll('-', '').slice(0, 16);
  readonly #options: LeaderOptions;
  readonly #notes: Notes;
  readonly #chunks: Queue;
  readonly #work: Queue;
  readonly #worker: ChunkWorker;
  #pulse: NodeJS.Timeout | undefined;
  #pulses = 0;
  #offered = 0;
  /** Offers that were taken so far. */
  #followers = 0;
  #step = 0;
  #theta: Float32Array = new Float32Array();
  #round: Round | undefined;
  #taking: Promise<TakenChunk | undefined> | undefined;
  #wake: () => void = () => undefined;

  constructor(options: LeaderOptions) {
    const { engine } = options;
    this.#options = options;
    this.#notes = new Notes(engine, this.session);
    this.#chunks = engine.queue(chunksOf(this.session));
    this.#work = engine.queue(WORK);
    this.#worker = new ChunkWorker(engine, this.session);
    const events: QueueEvents = engine.events(chunksOf(this.session));
    events.on('completed', ({ jobId, returnvalue }) => this.#answered(jobId, returnvalue));
  }

  /** Connects and offers itself to workers. @throws LostServer where the server is lost meanwhile */
  async start(): Promise<void> {
    await this.#options.engine.ready();
    this.#pulse = setInterval(() => void this.#live().catch(() => undefined), PULSE);
    void this.#live().catch(() => undefined);
  }

  async begin(step: number, theta: Float32Array, state: () => unknown): Promise<void> {
    [this.#step, this.#theta] = [step, theta];
    if ((await this.#notes.read('join')) !== undefined) {
      await this.#notes.remove('join');
      await this.#notes.writeSnapshot(step, encodeCheckpoint(state()));
    }
  }

  async values(tasks: ExchangedTasks): Promise<Uint8Array> {
    const { count } = tasks;
    const chunks = Math.max(CHUNKS, CHUNKS_EACH * (1 + this.#followers));
    const size = Math.max(1, Math.floor(count / chunks));
    const starts = Array.from({ length: Math.ceil(count / size) }, (_, i) => i * size);
    const round: Round = { step: this.#step, started: performance.now(), values: new Map(), took: [] };
    this.#round = round;
    await this.#offer(starts, size, count, 0);
    await this.#compute(round, tasks, starts, size);
    const all = Buffer.concat(starts.map((from) => round.values.get(from) as Uint8Array));
    const theta = isChecked(round.step) ? { theta: hashOf(this.#theta) } : {};
    await this.#notes.write(`log-${round.step}`, { values: base64Of(all), ...theta });
    if (round.step >= KEPT) await this.#notes.remove(`log-${round.step - KEPT}`);
    return all;
  }

  /** Tells followers that it is over, and leaves nothing in the queue. */
  async close(): Promise<void> {
    clearInterval(this.#pulse);
    await this.#notes.write('end', {}).catch(() => undefined);
    for (let offer = Math.max(0, this.#offered - OFFERS); offer < this.#offered; offer++)
      await this.#work.remove(`${this.session}-${offer}`).catch(() => 0);
    await this.#taking?.catch(() => undefined);
    // Followers read the end; who was away for longer finds no pulse.
    await sleep(PULSE);
    await this.#notes.obliterate().catch(() => undefined);
    await this.#chunks.obliterate({ force: true }).catch(() => undefined);
  }

  /** Gives out chunks; `again` counts how often. */
  async #offer(starts: readonly number[], size: number, count: number, again: number): Promise<void> {
    const step = this.#step;
    const jobs = starts.map((from) => ({
      name: 'chunk',
      data: { step, from, to: Math.min(from + size, count) },
      opts: { ...JOB_OPTIONS, removeOnComplete: true, jobId: `${step}-${from}-${again}` },
    }));
    await insist(() => this.#chunks.addBulk(jobs));
  }

  /** Computes chunks until the values of all are there. */
  async #compute(
    round: Round,
    tasks: ExchangedTasks,
    starts: readonly number[],
    size: number,
  ): Promise<void> {
    const most = Math.max(1, Math.ceil(this.#options.threads / size));
    const busy = new Set<Promise<void>>();
    const missing = () => starts.filter((from) => !round.values.has(from));
    for (let again = 1; missing().length > 0; ) {
      if (busy.size < most) this.#taking ??= this.#worker.take();
      const news = new Promise<'news'>((resolve) => {
        this.#wake = () => resolve('news');
      });
      const taking = busy.size < most ? [this.#taking as Promise<TakenChunk | undefined>] : [];
      const first = await Promise.race([...taking, news, sleep(LATE / 4, 'late' as const, { ref: false })]);
      if (first === 'late') {
        if (!this.#isLate(round, again)) continue;
        await this.#offer(missing(), size, tasks.count, again++);
      } else if (first !== 'news') {
        this.#taking = undefined;
        if (first === undefined || first.step !== round.step) continue;
        const answering: Promise<void> = this.#own(round, first, tasks).finally(() => {
          busy.delete(answering);
          this.#wake();
        });
        busy.add(answering);
      }
    }
  }

  /** Computes one chunk, unless others have meanwhile. */
  async #own(round: Round, chunk: TakenChunk, tasks: ExchangedTasks): Promise<void> {
    const known = round.values.get(chunk.from);
    const values = known ?? (await tasks.compute(chunk.from, chunk.to));
    this.#take(round, chunk.from, values);
    await chunk.answer(values).catch(() => undefined);
  }

  #take(round: Round, from: number, values: Uint8Array): void {
    if (!round.values.has(from)) {
      round.values.set(from, values);
      round.took.push(performance.now() - round.started);
    }
    this.#wake();
  }

  /** Values that came over the queue. */
  #answered(name: string, returned: unknown): void {
    const [step, from] = name.split('-').map(Number);
    if (this.#round === undefined || step !== this.#round.step || typeof returned !== 'string') return;
    this.#take(this.#round, from as number, bytesOf(returned));
  }

  #isLate({ started, took }: Round, again: number): boolean {
    const usual = took.length === 0 ? LATE : (took.at(-1) as number) / took.length;
    const last = took.at(-1) ?? 0;
    return performance.now() - started - last > again * Math.max(LATE, MUCH_LATER * usual);
  }

  /** A sign of life, and offers to workers that are free. */
  async #live(): Promise<void> {
    await this.#notes.write('pulse', { count: 0 });
    await (await this.#notes.queue.getJob('pulse'))?.updateData({ count: ++this.#pulses });
    const names = Array.from({ length: OFFERS }, (_, i) => `${this.session}-${this.#offered - 1 - i}`);
    const states = await Promise.all(names.map(async (name) => this.#isFree(name)));
    const { settings } = this.#options;
    const waiting = states.filter((free) => free).length;
    this.#followers = this.#offered - waiting;
    for (let free = waiting; free < OFFERS; free++) {
      const jobId = `${this.session}-${this.#offered++}`;
      const data = enveloped('follow', { session: this.session, settings });
      await this.#work.add('follow', data, { ...JOB_OPTIONS, removeOnComplete: true, jobId });
    }
  }

  /** Whether an offer waits for a worker. */
  async #isFree(name: string): Promise<boolean> {
    const state = await (await this.#work.getJob(name))?.getState();
    return state === 'waiting' || state === 'delayed' || state === 'prioritized';
  }
}
