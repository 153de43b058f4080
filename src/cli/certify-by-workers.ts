/** `tautnet certify --queue`: images certified by the workers of a queue. */
import { resolve } from 'node:path';
import type { Address } from '../cluster/broker/address.js';
import type { CertifiedWhat } from '../cluster/certify-part.js';
import { certifyByWorkers } from '../cluster/spread.js';
import { VERSION } from '../experiment/version.js';
import { fingerprintOf } from '../verification/certification/journal.js';
import type { CertificationOptions, CertificationProgress } from '../verification/certification/options.js';
import type { CertificationReport } from '../verification/certification/verdict.js';
import type { Io } from './command.js';

/** What is certified, and by whom. */
export interface CertifyByWorkers {
  readonly address: Address;
  readonly path: string;
  readonly dataset: string;
  readonly dataDir?: string;
  readonly complete: CertifiedWhat['complete'];
  readonly options: Pick<
    CertificationOptions,
    | 'network'
    | 'parameters'
    | 'exact'
    | 'split'
    | 'epsilon'
    | 'attack'
    | 'relaxation'
    | 'sound'
    | 'seed'
    | 'indices'
  > & { readonly clipBox: boolean };
  readonly update: (progress: CertificationProgress) => void;
}

/** @throws Failure if images fail each time; the reason of `io.signal` */
export async function certifiedByWorkers(asked: CertifyByWorkers, io: Io): Promise<CertificationReport> {
  const { address, path, dataset, dataDir, complete, options, update } = asked;
  const { network, parameters, split, epsilon, clipBox, attack = {}, indices } = options;
  const { relaxation, sound, seed } = options;
  const [start, end] = [indices?.[0] ?? 0, (indices?.at(-1) ?? split.count - 1) + 1];
  const what: CertifiedWhat = {
    path: resolve(path),
    dataset,
    dataDir: dataDir && resolve(dataDir),
    ...{ epsilon, clipBox, attack, relaxation, ...(sound && { sound }), seed, complete },
    fingerprint: fingerprintOf(network, parameters, split, { epsilon, clip: clipBox }, VERSION, options),
  };
  const counts = { done: 0, certified: 0, falsified: 0 };
  return certifyByWorkers(
    what,
    { start, end },
    {
      address,
      signal: io.signal,
      onNotice: (line) => void io.stderr.write(`${line}\n`),
      progress({ verdicts }) {
        counts.done += verdicts.length;
        for (const { verdict } of verdicts) if (verdict !== 'undecided') counts[verdict]++;
        update({ stage: complete ? 'branch-and-bound' : 'attack', total: end - start, ...counts });
      },
    },
  );
}
