/** Child processes that do a piece of work each, waited for one by one. */
import { compiledUrl } from '../../runtime/compiled-file.js';
import { LocalQueue } from '../local-queue.js';
import type { Outcome } from '../queue.js';
import type { Work } from '../work.js';

/** A piece of work under way. */
export interface ChildWork {
  readonly outcome: Promise<Outcome<unknown>>;
  /** Asks it to save where it is and to stop. */
  stop(): void;
}

interface Waiting {
  readonly resolve: (outcome: Outcome<unknown>) => void;
  readonly progress: (state: unknown) => void;
}

/** Children of a worker. */
export class Children {
  readonly #waiting = new Map<string, Waiting>();
  readonly #queue: LocalQueue<Work, unknown>;

  constructor(capacity: number) {
    this.#queue = new LocalQueue<Work, unknown>({
      program: compiledUrl('cluster/work-process.js'),
      capacity,
      progress: (id, state) => this.#waiting.get(id)?.progress(state),
    });
    void this.#collect();
  }

  start(work: Work, progress: (state: unknown) => void): ChildWork {
    const outcome = new Promise<Outcome<unknown>>((resolve) => {
      this.#waiting.set(work.id, { resolve, progress });
    });
    void this.#queue.submit(work);
    return { outcome, stop: () => void this.#queue.cancel(work.id) };
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #collect(): Promise<void> {
    for await (const outcome of this.#queue.results()) {
      const { resolve } = this.#waiting.get(outcome.id) as Waiting;
      this.#waiting.delete(outcome.id);
      resolve(outcome);
    }
  }
}
