/**
 * Runs a sweep to its end, or to where it is stopped: asks the search, sends trials to a queue, keeps what
 * comes back. Nothing is held in memory alone that the folder does not hold.
 */
import { givenSettings, type SweepDefinition, searchOf } from './definition.js';
import type { WorkQueue } from './queue.js';
import type { Search, Trial } from './search/search.js';
import {
  lockSweep,
  readSweepFolder,
  type TrialEnd,
  trialFolder,
  trialId,
  writeBegun,
  writeEnd,
  writeTables,
} from './sweep-folder.js';
import type { SweepState, TrialState } from './sweep-state.js';
import { resultsCsv, sweepSummary } from './sweep-table.js';
import type { TrialJob, TrialProgress, TrialResult } from './trial.js';

export interface SweepOptions {
  /** Builds the queue; `progress` is to be called with what trials say. */
  readonly queue: (progress: (id: string, state: TrialProgress) => void) => WorkQueue<TrialJob, TrialResult>;
  /** Worker threads of each trial. */
  readonly threads: number;
  readonly signal?: AbortSignal;
  readonly onWait?: (line: string) => void;
  /** Told whenever something changes. */
  readonly update?: (state: SweepState) => void;
}

/** What whoever wants a sweep gone on with says, wherever its trials are done. */
export interface RunnerOptions extends Omit<SweepOptions, 'queue' | 'threads'> {
  /** Ids of trials that failed and are tried again (default: none). */
  readonly retried?: readonly string[];
}

/** Goes on with the sweep in a folder. @throws as runSweep */
export type SweepRunner = (path: string, options: RunnerOptions) => Promise<SweepState>;

/** Times that a job is tried. */
const TRIES = 2;

/**
 * Goes on with the sweep in a folder until every trial has ended.
 * @returns how it ended, failures among it
 * @throws the reason of `signal`, once what runs has saved its state; RunInUse, Failure, FileError
 */
export async function runSweep(path: string, options: SweepOptions): Promise<SweepState> {
  const lock = await lockSweep(path, options.onWait);
  try {
    return await new Sweep(path, options, await readSweepFolder(path)).run();
  } finally {
    await lock.release();
  }
}

/** A sweep under way. */
class Sweep {
  readonly #path: string;
  readonly #options: SweepOptions;
  readonly #definition: SweepDefinition;
  readonly #search: Search;
  readonly #states = new Map<string, TrialState>();
  /** Begun by an earlier process, without an end. */
  readonly #left: Trial[] = [];
  readonly #tries = new Map<string, number>();
  readonly #queue: WorkQueue<TrialJob, TrialResult>;
  #underWay = 0;

  constructor(path: string, options: SweepOptions, folder: Awaited<ReturnType<typeof readSweepFolder>>) {
    this.#path = path;
    this.#options = options;
    this.#definition = folder.definition;
    this.#search = searchOf(folder.definition);
    for (const { trial, end } of folder.begun) {
      this.#search.begin(trial);
      this.#states.set(trialId(trial), { trial, ...(end && { end }) });
      if (end === undefined) this.#left.push(trial);
      else this.#tell(trial, end);
    }
    this.#queue = options.queue((id, progress) => this.#progressed(id, progress));
  }

  async run(): Promise<SweepState> {
    const { signal } = this.#options;
    const stop = (): void => void this.#queue.close();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await this.#fill();
      if (this.#underWay > 0) await this.#collect();
    } finally {
      signal?.removeEventListener('abort', stop);
      await this.#queue.close();
    }
    signal?.throwIfAborted();
    const state = this.#state();
    await writeTables(this.#path, resultsCsv(state), sweepSummary(state, this.#path));
    return state;
  }

  async #collect(): Promise<void> {
    for await (const outcome of this.#queue.results()) {
      this.#underWay--;
      const { trial } = this.#states.get(outcome.id) as TrialState;
      if (outcome.kind === 'done') await this.#ended(trial, { result: outcome.result });
      else if (outcome.kind === 'failed') await this.#failed(trial, outcome.reason);
      await this.#fill();
      this.#told();
      if (this.#underWay === 0) return;
    }
  }

  /** Submits trials while there are some and the queue can take them. */
  async #fill(): Promise<void> {
    while (this.#underWay < this.#queue.capacity && !this.#options.signal?.aborted) {
      const left = this.#left.shift();
      const trial = left ?? this.#search.ask();
      if (trial === undefined) return;
      if (left === undefined) await writeBegun(this.#path, trial);
      await this.#submit(trial);
    }
  }

  async #submit(trial: Trial): Promise<void> {
    const id = trialId(trial);
    this.#states.set(id, { trial });
    this.#tries.set(id, (this.#tries.get(id) ?? 0) + 1);
    this.#underWay++;
    const settings = {
      ...givenSettings(this.#definition, trial.point),
      out: trialFolder(this.#path, trial),
    };
    const { budget } = trial;
    const { threads } = this.#options;
    await this.#queue.submit({ kind: 'trial', id, settings, budget, judge: this.#definition.judge, threads });
    this.#told();
  }

  async #failed(trial: Trial, reason: string): Promise<void> {
    if (this.#options.signal?.aborted) return;
    if ((this.#tries.get(trialId(trial)) ?? 0) < TRIES) return this.#submit(trial);
    await this.#ended(trial, { failed: reason });
  }

  async #ended(trial: Trial, end: TrialEnd): Promise<void> {
    await writeEnd(this.#path, trial, end);
    this.#states.set(trialId(trial), { trial, end });
    this.#tell(trial, end);
    await writeTables(this.#path, resultsCsv(this.#state()));
  }

  #tell(trial: Trial, end: TrialEnd): void {
    const values = 'result' in end ? { ...end.result } : undefined;
    this.#search.tell(
      trial,
      values === undefined
        ? { failed: (end as { failed: string }).failed }
        : { values: values as unknown as Record<string, number> },
    );
  }

  #progressed(id: string, progress: TrialProgress): void {
    const known = this.#states.get(id);
    if (known === undefined || known.end !== undefined) return;
    this.#states.set(id, { ...known, progress });
    this.#told();
  }

  #state(): SweepState {
    const states = [...this.#states.values()].sort(
      (a, b) => a.trial.rung - b.trial.rung || a.trial.number - b.trial.number,
    );
    return {
      definition: this.#definition,
      trials: this.#search.trials,
      states,
      front: this.#search.front().map(({ number, rung }) => ({ number, rung })),
    };
  }

  #told(): void {
    this.#options.update?.(this.#state());
  }
}
