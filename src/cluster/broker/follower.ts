/** A follower: it takes each step of a training as its leader does, and computes some of the values. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExchangedTasks } from '../../evaluation/exchange.js';
import { decodeCheckpoint } from '../../experiment/run/checkpoint.js';
import type { TrainingState } from '../../training/loop.js';
import type { StepExchange } from '../../training/placement/placement.js';
import { answerChunk, ChunkWorker, type TakenChunk } from './chunk-worker.js';
import type { Engine } from './engine.js';
import { bytesOf, hashOf, isChecked, logSchema, Notes } from './session.js';

/** The leader has ended the training, or is gone: nothing is left to do. */
export class Over extends Error {}
/**
 * This process has another θ than the leader, or is too far behind: it begins anew with the leader's state.
 */
export class Astray extends Error {}

/** Milliseconds without a sign of life after which the leader is taken for gone. */
const SILENCE = 30_000;
/** Milliseconds between looks at notes that nobody has told of. */
const LOOK = 500;
/** Milliseconds between looks whether the leader lives. */
const LIFE = 1_000;

export class Follower implements StepExchange {
  readonly #notes: Notes;
  readonly #worker: ChunkWorker;
  readonly #signal: AbortSignal | undefined;
  #step = 0;
  #theta: Float32Array = new Float32Array();
  #taking: Promise<TakenChunk | undefined> | undefined;
  /** A chunk of a step after the present one. */
  #held: TakenChunk | undefined;
  /** The last step whose values are known to be there. */
  #announced = -1;
  #wake: () => void = () => undefined;
  #pulse: unknown;
  #heard = performance.now();
  #looked = Number.NEGATIVE_INFINITY;

  constructor(engine: Engine, session: string, signal?: AbortSignal) {
    this.#notes = new Notes(engine, session);
    this.#worker = new ChunkWorker(engine, session);
    this.#signal = signal;
    const events = engine.events(this.#notes.queue.name);
    events.on('waiting', ({ jobId }) => this.#told(jobId));
    events.on('added', ({ jobId }) => this.#told(jobId));
  }

  /** The leader's state at the beginning of a step. @throws Over */
  async join(): Promise<TrainingState> {
    const before = (await this.#notes.readSnapshot())?.step ?? -1;
    await this.#notes.write('join', {});
    for (;;) {
      await this.#living();
      const found = await this.#notes.readSnapshot();
      const asked = (await this.#notes.read('join')) !== undefined;
      if (found !== undefined && (found.step > before || !asked))
        return decodeCheckpoint(found.state, 'the state of the training') as unknown as TrainingState;
      await sleep(LOOK / 5);
    }
  }

  async begin(step: number, theta: Float32Array): Promise<void> {
    [this.#step, this.#theta] = [step, theta];
  }

  async values(tasks: ExchangedTasks): Promise<Uint8Array> {
    const step = this.#step;
    for (let looked = Number.NEGATIVE_INFINITY; ; ) {
      const now = performance.now();
      if (this.#announced >= step || now - looked > LOOK) {
        looked = now;
        const log = await this.#log(step);
        if (log !== undefined) return log;
        if ((this.#held?.step ?? step) > step)
          throw new Astray('values of a step that is over are not kept any more');
      }
      const chunk = await this.#next();
      if (chunk !== undefined && chunk.step === step) await answerChunk(chunk, tasks).catch(() => undefined);
      else if (chunk !== undefined && chunk.step > step) this.#behind(chunk);
    }
  }

  /** A chunk of a later step waits; without the values of this one it can never be computed. */
  #behind(chunk: TakenChunk): void {
    this.#held = chunk;
    this.#announced = Math.max(this.#announced, chunk.step - 1);
  }

  /** A chunk that was taken before, or the next one; undefined if there are other things to look at. */
  async #next(): Promise<TakenChunk | undefined> {
    await this.#living();
    const held = this.#held;
    if (held !== undefined && held.step <= this.#step) {
      this.#held = undefined;
      return held;
    }
    const news = new Promise<undefined>((resolve) => {
      this.#wake = () => resolve(undefined);
    });
    // What has waited in vain is looked at now and then; a second chunk of a later step would be lost on it.
    const late = sleep(LOOK, undefined, { ref: false });
    if (held !== undefined) return Promise.race([news, late]);
    this.#taking ??= this.#worker.take();
    const first = await Promise.race([this.#taking.then((chunk) => ({ chunk })), news, late]);
    if (first === undefined) return undefined;
    this.#taking = undefined;
    return first.chunk;
  }

  /** A note was written. */
  #told(name: string): void {
    const step = /^log-(\d+)$/.exec(name)?.[1];
    if (step === undefined) return;
    this.#announced = Math.max(this.#announced, Number(step));
    this.#wake();
  }

  /** All values of a step, once they are there. @throws Astray */
  async #log(step: number): Promise<Uint8Array | undefined> {
    const read = logSchema.safeParse(await this.#notes.read(`log-${step}`));
    if (!read.success) return undefined;
    const { values, theta } = read.data;
    if (isChecked(step) && theta !== undefined && theta !== hashOf(this.#theta))
      throw new Astray('θ is not that of the leader');
    return bytesOf(values);
  }

  /** @throws Over where the leader has ended or is gone; the reason of the signal */
  async #living(): Promise<void> {
    this.#signal?.throwIfAborted();
    const now = performance.now();
    if (now - this.#looked < LIFE) return;
    this.#looked = now;
    if ((await this.#notes.read('end')) !== undefined) throw new Over();
    const pulse = JSON.stringify(await this.#notes.read('pulse'));
    if (pulse !== this.#pulse) [this.#pulse, this.#heard] = [pulse, now];
    if (now - this.#heard > SILENCE) throw new Over();
  }
}
