/**
 * The order of a search: whoever is free takes the subproblems of worst bounds, a batch of them, and hands in
 * what they are divided into.
 */
import TinyQueue from 'tinyqueue';
import type { Engine } from './engine.js';

/** The open subproblems of a search: those that wait, and those that are under way. */
export interface Frontier<T> {
  /** Number of those that wait. */
  readonly length: number;
  push(subproblems: readonly T[]): void;
  /** Those that wait, in no order. */
  waiting(): readonly T[];
  /** Takes the worst of those that wait, so many at most. */
  take(most: number): T[];
  /** The least bound of all that is open, what is under way too; ∞ where nothing is. */
  leastBound(): number;
  /**
   * Works on as many batches at once as the engine has threads, until nothing waits and nothing is under way,
   * or `over`.
   * @param most subproblems of a batch; fewer where those that wait would not suffice for all threads
   * @param divide what a batch is divided into, as far as that is open
   * @param handedIn called when that waits in the batch's place
   * @throws the first error of `divide`, when nothing is under way any more
   */
  work(
    most: number,
    over: () => boolean,
    divide: (batch: readonly T[]) => Promise<readonly T[]>,
    handedIn: () => void,
  ): Promise<void>;
}

export function worstFirst<T extends { readonly bound: number }>(
  engine: Pick<Engine, 'threads' | 'expired'>,
): Frontier<T> {
  const queue = new TinyQueue<T>([], (a, b) => a.bound - b.bound);
  const underWay = new Set<readonly T[]>();
  // The first of a batch is the worst of it.
  const boundOf = (subproblem: T | undefined): number => subproblem?.bound ?? Number.POSITIVE_INFINITY;
  const push = (subproblems: readonly T[]): void => {
    for (const subproblem of subproblems) queue.push(subproblem);
  };
  const take = (most: number): T[] =>
    Array.from({ length: Math.min(most, queue.length) }, () => queue.pop() as T);
  return {
    get length() {
      return queue.length;
    },
    push,
    take,
    waiting: () => queue.data,
    leastBound: () => Math.min(boundOf(queue.peek()), ...Array.from(underWay, ([first]) => boundOf(first))),
    async work(most, over, divide, handedIn) {
      let failed = false;
      const waiting: (() => void)[] = [];
      const wake = () => {
        for (const resume of waiting.splice(0)) resume();
      };
      const lane = async (): Promise<void> => {
        while (!failed && !over() && !engine.expired()) {
          if (queue.length === 0) {
            if (underWay.size === 0) break;
            await new Promise<void>((resume) => waiting.push(resume));
            continue;
          }
          const share = Math.max(1, Math.min(most, Math.ceil(queue.length / engine.threads)));
          const batch = take(share);
          underWay.add(batch);
          try {
            push(await divide(batch));
          } catch (error) {
            failed = true;
            throw error;
          } finally {
            underWay.delete(batch);
            wake();
          }
          handedIn();
        }
        wake();
      };
      const lanes = await Promise.allSettled(Array.from({ length: engine.threads }, lane));
      for (const result of lanes) if (result.status === 'rejected') throw result.reason;
    },
  };
}
