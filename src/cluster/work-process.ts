/**
 * The program of a child process of a sweep or a worker: one piece of work, sent by its parent. It stops at
 * the next safe place, with a checkpoint, when it gets SIGTERM or SIGINT, and when its parent is gone.
 */
import '../runtime/device/telemetry.js';
import { RunInUse } from '../experiment/run/run-lock.js';
import type { Answer } from './local-queue.js';
import type { TrialProgress } from './trial.js';
import { performWork, type Work } from './work.js';

const STOPPED = new Error('stopped');
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => stop.abort(STOPPED));
process.on('disconnect', () => stop.abort(STOPPED));

/** Says something to the parent, if it is there; resolves once it is said. */
const say = (answer: Answer<unknown, TrialProgress>): Promise<void> =>
  new Promise((resolve) => {
    if (!process.connected) return resolve();
    process.send?.(answer, undefined, undefined, () => resolve());
  });

/** Shortest time between reports of progress, in milliseconds. */
const INTERVAL = 200;
let reported = Number.NEGATIVE_INFINITY;

function report(state: TrialProgress): void {
  if (state.stage === 'training' && performance.now() - reported < INTERVAL) return;
  reported = performance.now();
  void say({ progress: state });
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

async function perform(job: Work): Promise<void> {
  try {
    await say({ result: await performWork(job, { signal: stop.signal, progress: report }) });
  } catch (error) {
    if (error === STOPPED) await say({ stopped: true });
    else await say({ failed: firstLine(error), ...(error instanceof RunInUse && { busy: true }) });
  }
  if (process.connected) process.disconnect();
}

process.once('message', ({ job }: { job: Work }) => void perform(job));
