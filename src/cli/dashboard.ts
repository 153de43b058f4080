/** `tautnet dashboard`: the runs of a folder in a browser, live. */
import { Command } from 'commander';
import { UsageError } from '../experiment/errors.js';
import { type Io, type MakeCommand, written } from './command.js';
import { setting } from './flag-values.js';
import { shared } from './shared-options.js';

const PORT = 4177;

interface DashboardFlags {
  readonly host: string;
  readonly port: string;
  readonly dataDir?: string;
  readonly json?: boolean;
}

export const makeDashboardCommand: MakeCommand = (io) =>
  new Command('dashboard')
    .description('look at the runs of a folder in a browser: live, side by side, inside single images')
    .argument('[folder]', 'folder of runs', 'runs')
    .option(
      '--host <address>',
      'address to listen on; others than this machine can see the runs then',
      '127.0.0.1',
    )
    .option('--port <number>', 'port to listen on, 0 for any that is free', String(PORT))
    .addOption(shared('dataDir', 'default: that of each run'))
    .action((folder: string, flags: DashboardFlags) => dashboard(folder, flags, io));

async function dashboard(
  folder: string,
  { host, port, dataDir, json }: DashboardFlags,
  io: Io,
): Promise<void> {
  const number = Number(port);
  if (!/^\d+$/.test(port) || number > 65535)
    throw new UsageError(`--port: expected a number from 0 to 65535, got "${port}"`);
  // Loaded here, as servers and what draws take longer than the start of any other command.
  const { serveDashboard } = await import('../insight/dashboard/serve.js');
  const served = await serveDashboard({
    folder,
    host,
    port: number,
    dataDir: setting('dataDir', dataDir, '--data-dir'),
  });
  try {
    await written(io.stdout, json ? `${JSON.stringify({ url: served.url })}\n` : `${served.url}\n`);
    io.stderr.write('Ctrl-C ends it\n');
    await new Promise<void>((done) => {
      if (io.signal.aborted) done();
      io.signal.addEventListener('abort', () => done(), { once: true });
    });
  } finally {
    await served.close();
  }
}
