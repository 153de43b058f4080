/** The page's workers, and what they are started with: files of this site alone. */

import type { EpochCourse } from '../../src/experiment/train-in-memory.js';
import type { Question, Reply } from '../../src/insight/page/questions.js';
import type { Start } from './worker.js';

/** A file of the site. @throws Error in one line where it cannot be had */
export async function fileOf(name: string): Promise<Response> {
  const response = await fetch(name).catch(() => undefined);
  if (response?.ok !== true)
    throw new Error(`${name}: expected a file beside the page; check the connection and load it again`);
  return response;
}

/** A gzip-compressed file, unpacked unless the server has told the browser to. */
async function unpacked(name: string): Promise<ArrayBuffer> {
  const bytes = await (await fileOf(name)).arrayBuffer();
  const [first, second] = new Uint8Array(bytes);
  if (first !== 0x1f || second !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).arrayBuffer();
}

/** ONNX Runtime and the digits. */
export async function load(): Promise<Start> {
  const [engine, digits] = await Promise.all([unpacked('engine.gz.bin'), unpacked('digits.gz.bin')]);
  return { engine, digits: new Uint8Array(digits) };
}

interface Waiting {
  readonly id: number;
  readonly question: Question;
  readonly signal: AbortSignal | undefined;
  readonly watch: ((course: EpochCourse) => void) | undefined;
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/** One worker. Questions wait here, so that those that nobody waits for any more are never asked. */
export class PageWorker {
  readonly #worker = new Worker('worker.js', { type: 'module' });
  #waiting: Waiting[] = [];
  #asked: Waiting | undefined;
  #ids = 0;

  constructor(start: Start) {
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#replied(data);
    this.#worker.onerror = ({ message }) => this.#failed(message);
    this.#worker.postMessage(start);
  }

  ask<Answer>(
    question: Question,
    { signal, watch }: { signal?: AbortSignal; watch?: (course: EpochCourse) => void } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const id = this.#ids++;
      this.#waiting.push({ id, question, signal, watch, resolve: resolve as Waiting['resolve'], reject });
      this.#next();
    });
  }

  close(): void {
    this.#worker.terminate();
  }

  #next(): void {
    if (this.#asked !== undefined) return;
    this.#waiting = this.#waiting.filter(({ signal }) => signal?.aborted !== true);
    this.#asked = this.#waiting.shift();
    if (this.#asked === undefined) return;
    const { id, question } = this.#asked;
    this.#worker.postMessage({ id, question });
  }

  #replied(reply: Reply): void {
    if ('course' in reply) {
      this.#asked?.watch?.(reply.course);
      return;
    }
    if ('problem' in reply) this.#asked?.reject(new Error(reply.problem));
    else this.#asked?.resolve(reply.answer);
    this.#asked = undefined;
    this.#next();
  }

  #failed(message: string): void {
    const error = new Error(`the page's worker stopped (${message}); load the page again`);
    for (const { reject } of [...(this.#asked ? [this.#asked] : []), ...this.#waiting]) reject(error);
    this.#asked = undefined;
    this.#waiting = [];
  }
}
