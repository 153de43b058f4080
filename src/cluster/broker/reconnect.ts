/** Work on a server that may be lost while things are connected to it: they are all made anew then. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from './address.js';
import { type Engine, type EngineOptions, LostServer, openEngine } from './engine.js';
import type { Idleness } from './idleness.js';

/** Milliseconds before the server is tried again: twice as many each time, up to the longest. */
const [FIRST, LONGEST] = [500, 30_000];

/** Milliseconds without trouble after which it is told again: each attempt would have its own line. */
const QUIET = 2 * LONGEST;

/**
 * Does work on an engine that is closed after it. Where the server is lost before the work is `ready`, it
 * begins anew on another engine, with longer and longer pauses; that is told once, in one line.
 * @throws Failure where the server was never reached, LostServer where it is not back before `idle` is over,
 *  whatever the work throws, the reason of `signal`
 */
export async function withEngine<Result>(
  address: Address,
  { signal, onTrouble, idle }: EngineOptions & { readonly signal?: AbortSignal; readonly idle?: Idleness },
  work: (engine: Engine) => Promise<Result>,
): Promise<Result> {
  let reached = false;
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = (line: string): void => {
    if (performance.now() - toldAt > QUIET) onTrouble?.(line);
    toldAt = performance.now();
  };
  for (let pause = FIRST; ; pause = Math.min(2 * pause, LONGEST)) {
    let engine: Engine | undefined;
    let lost: LostServer;
    try {
      engine = await openEngine(address, { onTrouble: tell });
      return await work(engine);
    } catch (error) {
      reached ||= engine !== undefined;
      if (!(error instanceof LostServer) || !reached) throw error;
      lost = error;
      tell(`${address.shown}: lost while connecting; trying again`);
    } finally {
      await engine?.close();
    }
    signal?.throwIfAborted();
    await sleep(Math.min(pause, idle?.left() ?? pause), undefined, { signal }).catch(() =>
      signal?.throwIfAborted(),
    );
    if (idle?.isOver()) throw lost;
  }
}
