/**
 * BullMQ over Redis (or Valkey) or PostgreSQL. The packages are installed by those who use them, not with
 * tautnet: they are loaded here, at the first use.
 */
import type { Job, JobsOptions, Queue, QueueEvents, Worker, WorkerOptions } from 'bullmq';
import { Failure } from '../../experiment/errors.js';
import { type Address, withoutSecrets } from './address.js';

/** A job's function; the signal of BullMQ is not used, as its losses of locks have no reason. */
export type Process = (job: Job, token: string) => Promise<unknown>;

/** Connections to one server. All of them are closed with it. */
export interface Engine {
  readonly address: Address;
  queue(name: string): Queue;
  worker(name: string, process: Process | null, options: Omit<WorkerOptions, 'connection'>): Worker;
  events(name: string): QueueEvents;
  /** Errors by which a job's function says that the job is in the queue again. */
  readonly movedToWait: () => Error;
  readonly movedToDelayed: () => Error;
  /** A failure that is not tried again by the engine. */
  readonly final: (reason: string) => Error;
  /**
   * Resolves once everything that was made of it so far is connected. PostgreSQL's store remembers a first
   * connection that failed, and what asks again for ever would do so without a pause.
   * @throws LostServer where the server was lost meanwhile; all of it has to be made anew
   */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/** A server cannot be reached, or was lost while things were connected to it. */
export class LostServer extends Failure {}

export interface EngineOptions {
  /** Told, in one line and seldom, that the server cannot be reached; it is tried again. */
  readonly onTrouble?: (line: string) => void;
}

type BullMq = typeof import('bullmq');

/** Jobs of all kinds are added with these options. */
export const KEPT = { age: 7 * 24 * 3600 } as const;
export const JOB_OPTIONS: JobsOptions = { removeOnComplete: KEPT, removeOnFail: KEPT, attempts: 1 };

/** Prefix of keys in Redis. */
const PREFIX = 'tautnet';
/** Schema in PostgreSQL, BullMQ's own: a pool of connections that is handed to it can have no other. */
const SCHEMA = 'bullmq';
/** Longest wait for the first connection, in milliseconds. */
const PATIENCE = 10_000;
/** Shortest time between notices of trouble, in milliseconds. */
const QUIET = 30_000;

const PACKAGES = { redis: ['bullmq', 'ioredis'], postgres: ['bullmq', 'pg'] } as const;

/** Loads an optional package. @throws Failure that says what to install */
async function loaded<Module>(load: () => Promise<Module>, { engine }: Address): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    const names = PACKAGES[engine].join(' and ');
    throw new Failure(
      `--queue: expected the packages ${names} beside tautnet, they are missing; run ` +
        `\`npm install ${PACKAGES[engine].join(' ')}\``,
      { cause: error },
    );
  }
}

/** Hands on one notice of trouble at a time. */
function notices(address: Address, { onTrouble }: EngineOptions): (error: Error) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (error) => {
    const now = performance.now();
    if (now - last < QUIET) return;
    last = now;
    const code = (error as NodeJS.ErrnoException).code;
    const said = withoutSecrets(address, error.message) || code || error.name;
    onTrouble?.(`${address.shown}: ${said}; trying again`);
  };
}

/** What a driver said as a failure to connect. */
function unreachable(address: Address, error: unknown): LostServer {
  const { message, code } = error as NodeJS.ErrnoException;
  return new LostServer(
    `--queue: expected a server at ${address.shown}, it cannot be reached ` +
      `(${withoutSecrets(address, message || String(code))}); start it, or check the URL`,
    { cause: error },
  );
}

/** Resolves as `promise`, or rejects when it takes too long. */
function within<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

interface Backend {
  /** What each queue, worker and listener is built with. */
  readonly connection: unknown;
  readonly factory?: unknown;
  close(): Promise<void>;
}

async function redisBackend(address: Address): Promise<Backend> {
  const { Redis } = await loaded(() => import('ioredis'), address);
  const probe = new Redis(address.url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  let failure: unknown;
  probe.on('error', (error) => {
    failure = error;
  });
  try {
    await within(
      probe.connect().then(() => probe.ping()),
      PATIENCE,
    );
  } catch (error) {
    throw unreachable(address, failure ?? error);
  } finally {
    probe.disconnect();
  }
  return { connection: { url: address.url, maxRetriesPerRequest: null }, close: async () => undefined };
}

async function postgresBackend(
  address: Address,
  { createPostgresBackend, runMigrations }: BullMq,
  trouble: (error: Error) => void,
): Promise<Backend> {
  const { default: pg } = await loaded(() => import('pg'), address);
  const pool = new pg.Pool({
    connectionString: address.url,
    options: `-c search_path=${SCHEMA}`,
    connectionTimeoutMillis: PATIENCE,
    keepAlive: true,
    max: 16,
  });
  pool.on('error', trouble);
  // A connection that is lost while it is used tells its own listeners; without one it ends the process.
  pool.on('connect', (client) => void client.on('error', trouble));
  try {
    const client = await pool.connect();
    try {
      await runMigrations(client as never, SCHEMA);
    } finally {
      client.release();
    }
  } catch (error) {
    await pool.end();
    throw unreachable(address, error);
  }
  return { connection: pool, factory: createPostgresBackend, close: () => pool.end() };
}

/** A queue, a worker or a listener. */
interface Connected {
  waitUntilReady(): Promise<unknown>;
  close(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * Server of an address, reached. @throws Failure if packages are missing; LostServer if it cannot be reached
 */
export async function openEngine(address: Address, options: EngineOptions = {}): Promise<Engine> {
  const bull = await loaded(() => import('bullmq'), address);
  const trouble = notices(address, options);
  const { connection, factory, close } =
    address.engine === 'redis' ? await redisBackend(address) : await postgresBackend(address, bull, trouble);
  const open: Connected[] = [];
  const kept = <T extends Connected>(one: T): T => {
    one.on('error', trouble);
    open.push(one);
    return one;
  };
  const base = { connection: connection as never, prefix: PREFIX };
  return {
    address,
    queue: (name) => kept(new bull.Queue(name, base, factory as never)),
    worker: (name, process, more) =>
      kept(new bull.Worker(name, process as never, { ...base, ...more }, factory as never)),
    events: (name) => kept(new bull.QueueEvents(name, base, factory as never)),
    movedToWait: () => new bull.WaitingError(),
    movedToDelayed: () => new bull.DelayedError(),
    final: (reason) => new bull.UnrecoverableError(reason),
    async ready() {
      await Promise.all(open.map((one) => one.waitUntilReady())).catch((error: unknown) => {
        const said = withoutSecrets(address, (error as Error).message);
        throw new LostServer(`--queue: ${address.shown} was lost while connecting (${said}); start again`, {
          cause: error,
        });
      });
    },
    async close() {
      await Promise.all(open.map((one) => one.close().catch(() => undefined)));
      await close().catch(() => undefined);
    },
  };
}
