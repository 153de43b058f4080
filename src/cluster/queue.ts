/**
 * Work that is done elsewhere: jobs go out, what became of them comes back. A sweep knows this interface
 * alone; child processes of one machine are one implementation (`local-queue.ts`).
 */

/** Plain data that goes to whoever does it. */
export interface Job {
  /** Unique among the jobs under way. */
  readonly id: string;
}

/**
 * How a job ended. `cancelled`: it was asked to stop and has saved where it was; `busy`: another process
 * works on the same, so that it may be tried later.
 */
export type Outcome<Result> =
  | { readonly id: string; readonly kind: 'done'; readonly result: Result }
  | { readonly id: string; readonly kind: 'failed'; readonly reason: string; readonly busy?: boolean }
  | { readonly id: string; readonly kind: 'cancelled' };

export interface WorkQueue<Work extends Job, Result> {
  /** Jobs that are worth submitting at a time: more would only wait. */
  readonly capacity: number;
  submit(job: Work): Promise<void>;
  /** Asks a job to stop where it can go on later; its outcome still comes. */
  cancel(id: string): Promise<void>;
  /** One outcome for each submitted job, as they end; never ends by itself. */
  results(): AsyncIterable<Outcome<Result>>;
  /** Cancels what is under way and waits for it. */
  close(): Promise<void>;
}
