/** Pieces of work side by side, a few at a time. */

export interface Lanes<T> {
  /** Pieces under way at once. */
  readonly threads: number;
  /** Whether the next piece shall not begin, nor any after it in its lane; default never. */
  expired?(next: T): boolean;
}

/**
 * Works through pieces in their order, as many at once as there are threads, until none is left or the time
 * is over.
 * @throws the first error of `work`, when nothing is under way any more
 */
export async function inLanes<T>(
  { threads, expired }: Lanes<T>,
  pieces: readonly T[],
  work: (piece: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < pieces.length && !failed && !expired?.(pieces[next] as T)) {
      await work(pieces[next++] as T).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: threads }, lane));
  for (const result of lanes) if (result.status === 'rejected') throw result.reason;
}
