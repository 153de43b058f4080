/** What a child process can be asked to do: one entry for each kind of work. */
import { type CertifyWork, certifyPart } from './certify-part.js';
import { type FollowWork, follow } from './follow.js';
import { decideInstance, type InstanceWork } from './instance.js';
import { performTrial, type TrialJob, type TrialOptions } from './trial.js';

export type Work = TrialJob | CertifyWork | InstanceWork | FollowWork;

/**
 * Does a piece of work in this process. @throws as the work does; the reason of the signal once it is saved
 */
export async function performWork(work: Work, options: TrialOptions): Promise<unknown> {
  const { signal } = options;
  switch (work.kind) {
    case 'trial':
      return performTrial(work, options);
    case 'certify':
      return certifyPart(work, signal);
    case 'follow':
      return follow(work, signal);
    case 'instance':
      return decideInstance(work, { threads: work.threads, device: work.device, signal });
  }
}
