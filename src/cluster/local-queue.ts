/**
 * A queue of this machine: each job is a child process of its own, so that one that runs out of memory or
 * crashes takes nobody with it. The folder that a job works in holds all its state, so nothing here has to
 * outlive the process.
 *
 * A child is sent `{ job }` and answers `{ progress }` any number of times, then `{ result }`, `{ failed }`
 * or `{ stopped }`. SIGTERM asks it to stop; when this process is gone, however it ended, the child sees its
 * channel close and stops by itself.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { lastWords } from './last-words.js';
import { Outbox } from './outbox.js';
import type { Job, Outcome, WorkQueue } from './queue.js';

/** What a child says. */
export type Answer<Result, Progress> =
  | { readonly progress: Progress }
  | { readonly result: Result }
  | { readonly failed: string; readonly busy?: boolean }
  | { readonly stopped: true };

export interface LocalQueueOptions<Progress> {
  /** Compiled program of a child. */
  readonly program: URL;
  /** Children at a time. */
  readonly capacity: number;
  readonly progress?: (id: string, progress: Progress) => void;
}

/** Last characters of a child's stderr that are kept, for the reason of a failure. */
const KEPT = 4000;

/** Children as a queue of jobs. */
export class LocalQueue<Work extends Job, Result, Progress = unknown> implements WorkQueue<Work, Result> {
  readonly #options: LocalQueueOptions<Progress>;
  readonly #children = new Map<string, { child: ChildProcess; cancelled: boolean }>();
  readonly #ended = new Outbox<Result>();

  constructor(options: LocalQueueOptions<Progress>) {
    this.#options = options;
  }

  get capacity(): number {
    return this.#options.capacity;
  }

  async submit(job: Work): Promise<void> {
    const child = fork(this.#options.program, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#children.set(job.id, { child, cancelled: false });
    let errors = '';
    let answer: Exclude<Answer<Result, Progress>, { progress: Progress }> | undefined;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-KEPT);
    });
    child.on('message', (said: Answer<Result, Progress>) => {
      if ('progress' in said) this.#options.progress?.(job.id, said.progress);
      else answer = said;
    });
    child.on('error', (error) => this.#end({ id: job.id, kind: 'failed', reason: error.message }));
    child.on('close', (code, signal) => {
      if (answer && 'result' in answer) this.#end({ id: job.id, kind: 'done', result: answer.result });
      else if (this.#children.get(job.id)?.cancelled) this.#end({ id: job.id, kind: 'cancelled' });
      else {
        const said = answer && 'failed' in answer ? answer.failed : lastWords(errors);
        const how = signal === null ? `code ${code}` : signal;
        const reason = said === undefined || said === '' ? `its process ended by ${how}` : said;
        const busy = answer !== undefined && 'busy' in answer && answer.busy === true;
        this.#end({ id: job.id, kind: 'failed', reason, ...(busy && { busy }) });
      }
    });
    child.send({ job });
  }

  async cancel(id: string): Promise<void> {
    const entry = this.#children.get(id);
    if (entry === undefined) return;
    entry.cancelled = true;
    entry.child.kill('SIGTERM');
  }

  results(): AsyncIterable<Outcome<Result>> {
    return this.#ended.all();
  }

  async close(): Promise<void> {
    const children = [...this.#children];
    const gone = children.map(([, { child }]) => new Promise((resolve) => child.once('close', resolve)));
    await Promise.all(children.map(([id]) => this.cancel(id)));
    await Promise.all(gone);
  }

  #end(outcome: Outcome<Result>): void {
    if (!this.#children.delete(outcome.id)) return;
    this.#ended.add(outcome);
  }
}
