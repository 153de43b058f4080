/** Changes of the folder, told to whoever listens; nobody looks at the folder while nobody listens. */
import type { RunIndex } from './run-index.js';

/** Told the names of runs that are new, changed or gone. */
export type Listener = (names: readonly string[]) => void;

/** Least time between two looks, in milliseconds; a look that takes long is waited five times as long for. */
const PAUSE = 300;
const SHARE = 5;
const BUDGET = 400;

export class Changes {
  readonly #index: RunIndex;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;

  constructor(index: RunIndex) {
    this.#index = index;
  }

  /** Listens until what it returns is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#timer ??= setTimeout(() => this.#look(), PAUSE);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.close();
    };
  }

  async #look(): Promise<void> {
    const started = performance.now();
    const names = await this.#index.refresh(BUDGET).catch(() => []);
    const pause = Math.max(PAUSE, SHARE * (performance.now() - started));
    if (names.length > 0) for (const listener of this.#listeners) listener(names);
    if (this.#timer !== undefined) this.#timer = setTimeout(() => this.#look(), pause);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
