/**
 * How many pairs of perturbations a worker is given at once: where native code takes many members in a call,
 * as many as make the way to a worker cheap; else one, as programs take one at a time.
 */
import { hasRowKernel } from '../kernels/row-kernel.js';
import type { LossKernelStep } from '../plan/stages/loss-kernel.js';
import type { PairsTask } from './task.js';

/** Tasks for each worker, so that none waits long for the last one. */
const TASKS = 4;
/** Multiply-adds of a task: some hundredths of a second. A call under way cannot be ended. */
const MOST_WORK = 2 ** 30;
/** Parameters of all members of a task. */
const MOST_NUMBERS = 2 ** 22;

/** The task in parts, which have its pairs in their order; what is computed does not depend on the parts. */
export function pairTasks(task: PairsTask, threads: number, onCpu: boolean): PairsTask[] {
  const { keys } = task;
  const share = onCpu && hasRowKernel() ? pairsAtOnce(task, threads) : 1;
  return Array.from({ length: Math.ceil(keys.length / share) }, (_, i) => ({
    ...task,
    keys: keys.slice(i * share, (i + 1) * share),
  }));
}

function pairsAtOnce({ plan, keys, feeds, theta }: PairsTask, threads: number): number {
  const step = plan.steps.find(({ kind }) => kind === 'loss-kernel') as LossKernelStep | undefined;
  if (step === undefined) return 1;
  const balanced = Math.ceil(keys.length / (threads === 1 ? 1 : TASKS * threads));
  const quick = MOST_WORK / (2 * step.loss.work * feeds.length);
  const small = MOST_NUMBERS / (2 * theta.length);
  return Math.max(1, Math.floor(Math.min(balanced, quick, small)));
}
