/** Ends of jobs as they come, for the one who submits them. */
import type { Outcome } from './queue.js';

export class Outbox<Result> {
  readonly #waiting: Outcome<Result>[] = [];
  #wake: () => void = () => undefined;

  add(outcome: Outcome<Result>): void {
    this.#waiting.push(outcome);
    this.#wake();
  }

  /** Every outcome once, in the order of their ends; it never ends by itself. */
  async *all(): AsyncIterable<Outcome<Result>> {
    for (;;) {
      const outcome = this.#waiting.shift();
      if (outcome !== undefined) yield outcome;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
