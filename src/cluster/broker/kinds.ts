/** The kinds of jobs that a worker does, by their names in the queue. */
import { certifyKind } from './certify-job.js';
import { followKind } from './follow-job.js';
import { instanceKind } from './instance-job.js';
import { trialKind } from './trial-job.js';
import type { WorkKind } from './work-kind.js';

export const KINDS: Readonly<Record<string, WorkKind<never>>> = {
  trial: trialKind as WorkKind<never>,
  certify: certifyKind as WorkKind<never>,
  follow: followKind as WorkKind<never>,
  instance: instanceKind as WorkKind<never>,
};
