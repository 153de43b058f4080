/**
 * The clock of a verification, which ends a call in its middle: ONNX Runtime computes until it is done and
 * nobody can stop it, so that what comes too late is not waited for. The worker goes on and is left behind.
 */
import type { VerificationContext } from './context.js';

/** Milliseconds after the deadline in which what looks at the clock itself may still end by itself. */
const GRACE = 150;
const LONGEST_TIMER = 2 ** 31 - 1;

/** Why a call was left in its middle. */
export class TooLate extends Error {
  override name = 'TooLate';
}

/**
 * The work's result, if it comes in time.
 * @param deadline time of `performance.now()`
 * @throws TooLate shortly after the deadline
 */
export async function inTime<T>(work: Promise<T>, deadline: number): Promise<T> {
  if (!Number.isFinite(deadline)) return work;
  // Whether work that is left behind succeeds is nobody's business.
  work.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const left = Math.max(0, deadline + GRACE - performance.now());
    const tooLate = () =>
      reject(new TooLate('verification: the time is over, a call was left in its middle'));
    timer = setTimeout(tooLate, Math.min(left, LONGEST_TIMER));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The same context, whose calls end in time: others throw `TooLate`. */
export function untilDeadline(context: VerificationContext, deadline: number): VerificationContext {
  if (!Number.isFinite(deadline)) return context;
  const { pool, run, evaluate } = context;
  return {
    ...context,
    pool: { ...pool, run: (task) => inTime(pool.run(task), deadline) },
    run: (plan, feeds) => inTime(run(plan, feeds), deadline),
    evaluate: (x) => inTime(evaluate(x), deadline),
  };
}
