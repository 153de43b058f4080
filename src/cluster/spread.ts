/** Many jobs of one kind, done by the workers of a queue, and their results in order. */
import { createHash } from 'node:crypto';
import { Failure } from '../experiment/errors.js';
import {
  accuraciesOf,
  type CertificationReport,
  type StageReport,
} from '../verification/certification/verdict.js';
import type { Address } from './broker/address.js';
import { type PartJob, partCarrier } from './broker/certify-job.js';
import { openEngine } from './broker/engine.js';
import { type Carrier, RemoteQueue } from './broker/remote-queue.js';
import type { CertifiedWhat, PartReport } from './certify-part.js';
import type { Job } from './queue.js';

export interface SpreadOptions<Result> {
  readonly address: Address;
  readonly signal?: AbortSignal;
  readonly onNotice?: (line: string) => void;
  /** Told of each result as it comes, by its job's place. */
  readonly done?: (result: Result, place: number) => void;
}

/** Times that a job is tried. */
const TRIES = 2;
/** Jobs in the queue at a time. */
const CAPACITY = 1024;

/** SHA-256 of plain data, which names the same jobs by the same names in every process. */
export const prefixOf = (about: unknown): string =>
  createHash('sha256').update(JSON.stringify(about)).digest('hex').slice(0, 16);

/**
 * Does jobs by the workers of a queue. A process that is stopped or killed leaves results in the queue, and
 * the next one that asks for the same finds them.
 * @returns one result for each job, in their order
 * @throws Failure naming the job that failed each time; the reason of `signal`
 */
export async function spread<Work extends Job, Result>(
  jobs: readonly Work[],
  carrier: Carrier<Work, Result>,
  { address, signal, onNotice, done }: SpreadOptions<Result>,
): Promise<Result[]> {
  const engine = await openEngine(address, { onTrouble: onNotice });
  const queue = new RemoteQueue<Work, Result>({ engine, carrier, capacity: CAPACITY, onNotice });
  const stop = (): void => void queue.close();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const places = new Map(jobs.map(({ id }, place) => [id, place]));
    const results: Result[] = new Array(jobs.length);
    const tries = new Map<string, number>();
    const waiting = [...jobs];
    let open = 0;
    const fill = async (): Promise<void> => {
      for (; open < CAPACITY && waiting.length > 0 && !signal?.aborted; open++)
        await queue.submit(waiting.shift() as Work);
    };
    await fill();
    for await (const outcome of open > 0 ? queue.results() : []) {
      open--;
      const place = places.get(outcome.id) as number;
      if (outcome.kind === 'done') {
        results[place] = outcome.result;
        done?.(outcome.result, place);
      } else if (outcome.kind === 'failed') {
        tries.set(outcome.id, (tries.get(outcome.id) ?? 0) + 1);
        if ((tries.get(outcome.id) ?? 0) >= TRIES) throw new Failure(outcome.reason);
        waiting.push(jobs[place] as Work);
      }
      await fill();
      if (open === 0) break;
    }
    signal?.throwIfAborted();
    await queue.forget();
    return results;
  } finally {
    signal?.removeEventListener('abort', stop);
    await queue.close();
    await engine.close();
  }
}

/** Images of a job: few where each may take long. They do not depend on who is there, so results do not. */
const imagesOfJob = ({ complete }: CertifiedWhat): number => (complete ? 8 : 256);

/** Images start, …, end − 1 in ranges that begin at multiples of the size. */
export function partsOf(start: number, end: number, size: number): PartJob[] {
  const parts: PartJob[] = [];
  for (let from = start; from < end; from = Math.floor(from / size + 1) * size) {
    const to = Math.min(end, Math.floor(from / size + 1) * size);
    parts.push({ id: `${from}-${to}`, start: from, end: to });
  }
  return parts;
}

/** Sums of stages over parts. */
function stagesOf(parts: readonly PartReport[]): CertificationReport['stages'] {
  const stages: Record<string, StageReport> = {};
  for (const [name, { skipped, ...stage }] of parts.flatMap((part) => Object.entries(part.stages))) {
    const known = stages[name];
    const sum = (key: keyof typeof stage): number => (known?.[key] ?? 0) + stage[key];
    stages[name] = {
      images: sum('images'),
      certified: sum('certified'),
      falsified: sum('falsified'),
      seconds: sum('seconds'),
      ...(skipped !== undefined && { skipped }),
    };
  }
  return stages as CertificationReport['stages'];
}

/**
 * Certifies images start, …, end − 1 by the workers of a queue; the seconds of stages are those of all
 * workers.
 * @throws as `spread`
 */
export async function certifyByWorkers(
  what: CertifiedWhat,
  { start, end }: { readonly start: number; readonly end: number },
  options: Omit<SpreadOptions<PartReport>, 'done'> & { readonly progress?: (images: PartReport) => void },
): Promise<CertificationReport> {
  const started = performance.now();
  const { progress, ...rest } = options;
  const parts = await spread(partsOf(start, end, imagesOfJob(what)), partCarrier(what, prefixOf(what)), {
    ...rest,
    done: (part) => progress?.(part),
  });
  const verdicts = parts.flatMap((part) => part.verdicts);
  return {
    ...accuraciesOf(verdicts),
    images: verdicts.length,
    epsilon: what.epsilon,
    ...(what.sound && { sound: what.sound }),
    stages: stagesOf(parts),
    seconds: (performance.now() - started) / 1000,
    verdicts,
  };
}
