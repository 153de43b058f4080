/** The order of a search: whoever is free takes the subproblems of worst bounds, a batch of them, and hands in what they are divided into. */
import type TinyQueue from 'tinyqueue';
import type { Engine } from './engine.js';

/**
 * Works on a queue with as many batches at once as the engine has threads, until it is empty and nothing is under way, or `over`.
 * @param most subproblems of a batch; fewer where the queue would not suffice for all threads
 * @param work divides what it is given, and may push to the queue
 * @throws the first error of `work`, when nothing is under way any more
 */
export async function worstFirst<T>(
  engine: Engine,
  queue: TinyQueue<T>,
  most: number,
  over: () => boolean,
  work: (batch: T[]) => Promise<void>,
): Promise<void> {
  let busy = 0;
  let failed = false;
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const resume of waiting.splice(0)) resume();
  };
  const lane = async (): Promise<void> => {
    while (!failed && !over() && !engine.expired()) {
      if (queue.length === 0) {
        if (busy === 0) break;
        await new Promise<void>((resume) => waiting.push(resume));
        continue;
      }
      const share = Math.max(1, Math.min(most, Math.ceil(queue.length / engine.threads)));
      const batch: T[] = [];
      while (batch.length < share && queue.length > 0) batch.push(queue.pop() as T);
      busy++;
      try {
        await work(batch);
      } catch (error) {
        failed = true;
        throw error;
      } finally {
        busy--;
        wake();
      }
    }
    wake();
  };
  const lanes = await Promise.allSettled(Array.from({ length: engine.threads }, lane));
  for (const result of lanes) if (result.status === 'rejected') throw result.reason;
}
