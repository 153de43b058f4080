/** `tautnet worker`: does the jobs of a queue on this machine until it is stopped. */
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { LostServer } from '../cluster/broker/engine.js';
import { idleness } from '../cluster/broker/idleness.js';
import { withEngine } from '../cluster/broker/reconnect.js';
import { serve } from '../cluster/broker/worker.js';
import { type Sharing, sharesOf } from '../cluster/run-locally.js';
import { UsageError } from '../experiment/errors.js';
import { chooseDevice } from '../runtime/survey/devices.js';
import type { Io, MakeCommand } from './command.js';
import { positiveNumber, setting, wholeNumber } from './flag-values.js';
import { addressOf, type QueueFlag, queueOption } from './queue-option.js';
import { shared } from './shared-options.js';

interface WorkerFlags {
  readonly queue?: QueueFlag;
  readonly threads?: string;
  readonly parallel?: string;
  readonly device?: string;
  readonly folder?: string;
  readonly lease?: string;
  readonly idle?: string;
}

/** Seconds without a sign of life after which a worker's jobs go to others. */
const LEASE = 30;

export const makeWorkerCommand: MakeCommand = (io) =>
  new Command('worker')
    .description('do the jobs of a queue on this machine; stopped, it saves and hands back what it does')
    .addOption(queueOption('where jobs come from'))
    .addOption(shared('threads', 'of all jobs together; default: available cores'))
    .option('--parallel <count>', 'jobs at a time (default: one for each thread)')
    .addOption(shared('device', 'default: as jobs say'))
    .option('--folder <path>', 'for what is not shared (default: a folder of temporary files)')
    .option('--lease <seconds>', `without a sign of life until others get its jobs (default: ${LEASE})`)
    .option('--idle <seconds>', 'end after so long without a job (default: never)')
    .action((flags: WorkerFlags) => work(flags, io));

async function work(flags: WorkerFlags, io: Io): Promise<void> {
  const sharing: Sharing = {
    threads: setting('threads', flags.threads, '--threads') ?? availableParallelism(),
    parallel: wholeNumber('parallel', flags.parallel),
  };
  const lease = positiveNumber('lease', flags.lease) ?? LEASE;
  const idle = idleness(positiveNumber('idle', flags.idle));
  const device = setting('device', flags.device, '--device');
  const address = addressOf(flags.queue, io);
  if (address === undefined)
    throw new UsageError(
      'worker: expected --queue, the server that jobs come from; see `tautnet worker --help`',
    );
  if (device !== undefined) await chooseDevice(device);
  const say = (line: string): void => void io.stderr.write(`${line}\n`);
  const shares = sharesOf(sharing);
  const folder = flags.folder ?? join(tmpdir(), 'tautnet-worker');
  const options = { ...shares, device, folder, lease, idle, signal: io.signal, log: say };
  let said = false;
  await withEngine(address, { onTrouble: say, signal: io.signal, idle }, async (engine) => {
    if (!said) say(`${address.shown}: ${shares.parallel} jobs at a time, threads of each: ${shares.threads}`);
    said = true;
    await serve({ engine, ...options });
  }).catch((error: unknown) => {
    // Stopped while it waits for its server, or idle for long, it has nothing to hand back.
    if (!io.signal.aborted && !(error instanceof LostServer && said && idle.isOver())) throw error;
  });
}
