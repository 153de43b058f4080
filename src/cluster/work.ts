/** What a child process can be asked to do: one entry for each kind of work. */
import { performTrial, type TrialJob, type TrialOptions } from './trial.js';

export type Work = TrialJob;

/** Does a piece of work in this process. @throws as the work does; the reason of the signal once it is saved */
export async function performWork(work: Work, options: TrialOptions): Promise<unknown> {
  return performTrial(work, options);
}
