/** `--queue`: the server that carries work between machines, from the command line or the environment. */
import { Option } from 'commander';
import { type Address, queueAddress } from '../cluster/broker/address.js';
import { UsageError } from '../experiment/errors.js';
import type { Io } from './command.js';

/** What holds the URL where the command line shall not, as it has a password. */
export const QUEUE_VARIABLE = 'TAUTNET_QUEUE';

/** As Commander gives it: true without a URL. */
export type QueueFlag = string | true | undefined;

export const queueOption = (what: string): Option =>
  new Option(
    '--queue [url]',
    `${what}: redis://… or postgres://…; without a URL that of the variable ${QUEUE_VARIABLE}`,
  );

/** The address that the flag names; undefined without the flag. @throws UsageError */
export function addressOf(flag: QueueFlag, { environment }: Pick<Io, 'environment'>): Address | undefined {
  if (flag === undefined) return undefined;
  if (flag !== true) return queueAddress(flag);
  const text = environment[QUEUE_VARIABLE];
  if (text === undefined || text === '')
    throw new UsageError(`--queue: expected a URL, got none, and ${QUEUE_VARIABLE} is not set; give one`);
  return queueAddress(text, QUEUE_VARIABLE);
}
