/** Worker threads behind a queue, which end only between calls. */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { compiledUrl } from '../compiled-file.js';
import type { SessionOptions } from '../execution/session.js';

const workerFile = fileURLToPath(compiledUrl('runtime/pool/worker.js'));

/** A task that waits for a worker. */
interface Waiting {
  begin(): void;
  refuse(error: Error): void;
}

/**
 * Threads that run tasks in their order, one each. A thread that is ended inside ONNX Runtime takes the
 * process with it; Piscina's own `close` ends all of them when the first one of several is done. Hence the
 * queue stands here, and Piscina gets as many tasks at once as it has threads.
 */
export class Workers {
  readonly #piscina: Piscina;
  readonly #threads: number;
  readonly #running = new Set<Promise<unknown>>();
  readonly #waiting: Waiting[] = [];
  #isOpen = true;

  constructor(threads: number, options: SessionOptions) {
    this.#threads = threads;
    this.#piscina = new Piscina({
      filename: workerFile,
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      workerData: options,
    });
    // Only that tasks still run when the threads are ended: what ended them is the error to be told.
    this.#piscina.on('error', () => undefined);
  }

  /** @throws Error the task's, or that the workers are closed */
  async run<Result>(name: string, task: object): Promise<Result> {
    if (!this.#isOpen) throw closed();
    return new Promise<Result>((resolve, refuse) => {
      this.#waiting.push({ begin: () => resolve(this.#begin(name, task)), refuse });
      this.#next();
    });
  }

  /** Refuses what waits, and ends the threads when no call is under way any more. */
  async close(): Promise<void> {
    this.#isOpen = false;
    for (const { refuse } of this.#waiting.splice(0)) refuse(closed());
    await Promise.allSettled(this.#running);
    await this.destroy();
  }

  /** Ends the threads, also inside a call. */
  async destroy(): Promise<void> {
    await this.#piscina.destroy();
  }

  async #begin<Result>(name: string, task: object): Promise<Result> {
    const result: Promise<Result> = this.#piscina.run(task, { name });
    this.#running.add(result);
    try {
      return await result;
    } finally {
      this.#running.delete(result);
      this.#next();
    }
  }

  #next(): void {
    if (this.#running.size < this.#threads) this.#waiting.shift()?.begin();
  }
}

const closed = (): Error => new Error('pool: expected an open one, this one is closed; open another');
