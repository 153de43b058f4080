/** `tautnet check`: proves again what a certificate says is proved, by the checker alone (`checker/`). */
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { UsageError } from '../experiment/errors.js';
import { trainedNetwork } from '../experiment/trained-network.js';
import { FileError } from '../formats/file-error.js';
import { FormatError } from '../formats/format-error.js';
import { readLimited } from '../formats/read-limited.js';
import { type CheckOptions, checkCertificate } from '../library/check.js';
import { type Io, type MakeCommand, written } from './command.js';
import { fetchedDataset } from './fetched-dataset.js';
import { setting } from './flag-values.js';
import { shared } from './shared-options.js';

interface CheckFlags {
  readonly dataset?: string;
  readonly dataDir?: string;
  readonly threads?: string;
  readonly json?: boolean;
}

const AFTER_HELP = `
The checker reads the ONNX file and the property by itself and proves each claim again, in float64 with every
rounding taken off: a certificate only says how. What is not proved is refused in one line.

Exit codes: 0 all is proved, 1 something is not, 2 bad input, 130 interrupted.
`;

export const makeCheckCommand: MakeCommand = (io) =>
  new Command('check')
    .description('prove again what a certificate (--certificate of certify and verify) says is proved')
    .argument('<certificate>', 'a file that --certificate wrote')
    .argument('<network>', 'the ONNX file that it is about (.onnx, .onnx.gz), or the folder of the run')
    .argument('[property]', 'the VNN-LIB file that it is about; left out where it is about images')
    .addOption(shared('dataset', 'default: that of the run'))
    .addOption(shared('dataDir'))
    .addOption(shared('threads', 'default: available cores'))
    .addHelpText('after', AFTER_HELP)
    .action((certificate: string, network: string, property: string | undefined, flags: CheckFlags) =>
      checkFiles(certificate, network, property, flags, io),
    );

async function checkFiles(
  path: string,
  networkPath: string,
  propertyPath: string | undefined,
  flags: CheckFlags,
  io: Io,
): Promise<void> {
  const started = performance.now();
  const threads = setting('threads', flags.threads, '--threads');
  const dataset = setting('dataset', flags.dataset, '--dataset');
  if (propertyPath !== undefined && dataset !== undefined)
    throw new UsageError('--dataset: expected no property beside it, got one; leave out one of them');
  const certificate = await contentOf(path, io);
  const { file, trainedFor } = await modelOf(networkPath);
  const about = propertyPath === undefined ? { ...trainedFor, ...(dataset && { dataset }) } : propertyPath;
  const given =
    typeof about === 'string' ? { property: await contentOf(about, io) } : await imagesOf(about, flags, io);
  const options: CheckOptions = { ...given, ...(threads !== undefined && { threads }), signal: io.signal };
  const outcome = await checkCertificate(certificate, await contentOf(file, io), options);
  const seconds = (performance.now() - started) / 1000;
  const { proved, of, what } = outcome;
  await written(
    io.stdout,
    flags.json
      ? `${JSON.stringify({ ...outcome, seconds })}\n`
      : `proved: ${proved} of ${of} ${what}, in ${seconds.toFixed(1)} s\n`,
  );
}

interface About {
  readonly dataset?: string;
  readonly dataDir?: string;
  readonly pool?: string;
}

/** The ONNX file; of a run's folder the run's own, and what it was trained on. */
async function modelOf(path: string): Promise<{ file: string; trainedFor: About }> {
  const folder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  return folder ? trainedNetwork(path) : { file: path, trainedFor: {} };
}

async function imagesOf({ dataset, dataDir, pool }: About, flags: CheckFlags, io: Io): Promise<CheckOptions> {
  if (dataset === undefined)
    throw new UsageError('check: expected a property, or --dataset with the images, got neither; give one');
  const { test } = await fetchedDataset(dataset, { dataDir: flags.dataDir ?? dataDir, pool }, io);
  return { images: test };
}

const contentOf = (path: string, { signal }: Io): Promise<Buffer> =>
  readLimited(path, { signal }).catch((error: unknown) => {
    if (!(error instanceof FormatError || error instanceof FileError)) throw error;
    throw new UsageError(error.message, { cause: error });
  });
