/**
 * One process at a time works on a run. The lock is a folder whose time stamp its holder keeps fresh; after
 * `kill -9` it goes stale and the next process takes the run over.
 */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';
import { toFileError } from '../../formats/file-error.js';
import { Failure } from '../errors.js';

/** Names inside a run folder that belong to its lock. */
export const LOCK_NAMES = { lock: 'lock', holder: 'holder.json' } as const;

export interface LockOptions {
  /** Age in milliseconds at which a lock is taken for abandoned; at least 2000. */
  readonly stale?: number;
  /** How often the holder refreshes it, in milliseconds; at least 1000. */
  readonly update?: number;
  /** Told, in one line, why acquiring takes a while. */
  readonly onWait?: (line: string) => void;
}

export interface RunLock {
  /**
   * @throws Failure if another process took the run over, e.g. because this one was suspended for longer than
   * `stale`
   */
  check(): void;
  /** May be called again. */
  release(): Promise<void>;
}

/** A live process works on the run. */
export class RunInUse extends Failure {}

interface Holder {
  readonly pid: number;
  readonly host: string;
}

const LONGEST_POLL = 500;

/** Locks that this very process holds. */
const heldHere = new Set<string>();

/**
 * Locks a run folder. A lock whose holder is gone is waited for until it is stale; a live holder is an error
 * at once.
 * @throws RunInUse naming the holder and what to do; FileError
 */
export async function lockRun(folder: string, options: LockOptions = {}): Promise<RunLock> {
  const stale = options.stale ?? 15_000;
  const update = options.update ?? 5_000;
  const deadline = Date.now() + stale + update;
  let lost: Failure | undefined;
  const acquire = () =>
    lock(folder, {
      lockfilePath: join(folder, LOCK_NAMES.lock),
      stale,
      update,
      onCompromised: () => {
        lost = new Failure(
          `${folder}: expected to hold this run, but another process has taken it over; see which one ` +
            'works on it before resuming',
        );
      },
    });

  for (let attempt = 0; ; attempt++) {
    try {
      const release = await acquire();
      const path = resolve(folder, LOCK_NAMES.holder);
      heldHere.add(path);
      writeHolder(path);
      return {
        check() {
          if (lost !== undefined) throw lost;
        },
        async release() {
          // The lock may be another's by the second call.
          if (!heldHere.delete(path) || lost !== undefined) return;
          rmSync(path, { force: true });
          await release();
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw toFileError(folder, 'lock', error);
    }
    const path = resolve(folder, LOCK_NAMES.holder);
    const holder = readHolder(path);
    if (isAlive(holder, path)) throw inUse(folder, holder);
    refuseFuture(join(folder, LOCK_NAMES.lock));
    if (Date.now() > deadline) throw inUse(folder, holder);
    if (attempt === 0)
      options.onWait?.(
        `${folder}: its last process${holder === undefined ? '' : ` (${holder.pid})`} did not end ` +
          `properly; waiting up to ${Math.ceil((stale + update) / 1000)} s to take it over`,
      );
    await sleep(Math.min(LONGEST_POLL, stale / 4));
  }
}

/** Clocks of two machines may differ by this much. */
const CLOCKS = 60_000;

/** A lock dated in the future would never become stale. */
function refuseFuture(lockFolder: string): void {
  const dated = statSync(lockFolder, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (dated > Date.now() + CLOCKS)
    throw new Failure(
      `${lockFolder}: expected a lock dated until now, got one of ${new Date(dated).toISOString()}; ` +
        'set the clock right, or remove it if nobody works on the run',
    );
}

function inUse(folder: string, holder: Holder | undefined): RunInUse {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  return new RunInUse(
    `${folder}: expected a run that nobody works on, but ${who} does; wait for it, stop it, or choose ` +
      'another folder',
  );
}

/** True only for a process of this machine that exists; about another machine's only the time stamp tells. */
function isAlive(holder: Holder | undefined, path: string): boolean {
  if (holder === undefined || holder.host !== hostname()) return false;
  // In a restarted container a dead process and this one may have the same number.
  if (holder.pid === process.pid) return heldHere.has(path);
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function writeHolder(path: string): void {
  try {
    writeFileSync(path, JSON.stringify({ pid: process.pid, host: hostname() } satisfies Holder));
  } catch (error) {
    throw toFileError(path, 'write', error);
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    const { pid, host } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return Number.isInteger(pid) && typeof host === 'string' ? { pid: pid as number, host } : undefined;
  } catch {
    return undefined;
  }
}
