/** The page's workers, and what they are started with: files of this site alone. */

import type { Digit, Question, RadiiAnswer, Reply, Told } from '../../src/insight/page/questions.js';
import type { Start } from './worker.js';

/** A file of the site. @throws Error in one line where it cannot be had */
export async function fileOf(name: string): Promise<Response> {
  const response = await fetch(name).catch(() => undefined);
  if (response?.ok !== true)
    throw new Error(`${name}: expected a file beside the page; check the connection and load it again`);
  return response;
}

/** A gzip-compressed file, unpacked unless the server has told the browser to. */
export async function unpacked(name: string): Promise<ArrayBuffer> {
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

/** Opens a network. */
export type OpenQuestion = Question & { readonly kind: 'open' };

export interface AskOptions {
  /** Aborted when nobody waits any more. */
  readonly signal?: AbortSignal;
  /** Told what is known before the answer. */
  readonly tell?: (told: Told) => void;
}

interface Waiting {
  readonly id: number;
  readonly question: Question;
  readonly signal: AbortSignal | undefined;
  readonly tell: ((told: Told) => void) | undefined;
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/** One worker. Questions wait here, so that those that nobody waits for any more are never asked. */
export class PageWorker {
  readonly #worker: Worker;
  #waiting: Waiting[] = [];
  #asked: Waiting | undefined;
  #ids = 0;

  constructor(start: Start, file = 'worker.js') {
    this.#worker = new Worker(file, { type: 'module' });
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#replied(data);
    this.#worker.onerror = ({ message }) => this.#failed(message);
    this.#worker.postMessage(start);
  }

  ask<Answer>(question: Question, { signal, tell }: AskOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const id = this.#ids++;
      this.#waiting.push({ id, question, signal, tell, resolve: resolve as Waiting['resolve'], reject });
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
    if ('told' in reply) {
      this.#asked?.tell?.(reply.told);
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

/**
 * Searches the radii of one digit at a time, in a worker of its own. It ends with a digit that nobody waits
 * for any more, as a search keeps its thread until it is done, and the next digit has a new one.
 */
export class RadiusSearch {
  readonly #start: Start;
  #worker: PageWorker | undefined;
  #network: OpenQuestion | undefined;

  constructor(start: Start) {
    this.#start = start;
  }

  /** The network of the digits that follow. */
  open(network: OpenQuestion): void {
    this.#end();
    this.#network = network;
  }

  /** Does not come back where the signal is aborted. @throws Error, one line for what cannot be answered */
  async of(digit: Digit, signal: AbortSignal, tell: (known: RadiiAnswer) => void): Promise<RadiiAnswer> {
    const end = () => this.#end();
    signal.addEventListener('abort', end);
    try {
      const worker = await this.#opened();
      return await worker.ask({ kind: 'radii', digit }, { tell: (told) => tell(told as RadiiAnswer) });
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  async #opened(): Promise<PageWorker> {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new PageWorker(this.#start);
    this.#worker = worker;
    if (this.#network !== undefined) await worker.ask(this.#network);
    return worker;
  }

  #end(): void {
    this.#worker?.close();
    this.#worker = undefined;
  }
}
