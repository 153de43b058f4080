/** The kinds of jobs that a worker does, by their names in the queue. */
import { trialKind } from './trial-job.js';
import type { WorkKind } from './work-kind.js';

export const KINDS: Readonly<Record<string, WorkKind<never>>> = {
  trial: trialKind as WorkKind<never>,
};
