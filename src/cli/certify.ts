/**
 * `tautnet certify`: proofs and counterexamples for the test images of a data set, and the three accuracies
 * they amount to.
 */

import { Command } from 'commander';
import type { Address } from '../cluster/broker/address.js';
import type { Split } from '../data/dataset.js';
import { datasetNamed } from '../data/datasets.js';
import { pooledDescription, poolingFrom } from '../data/pooled.js';
import { UsageError } from '../experiment/errors.js';
import { misfitOf } from '../experiment/misfit.js';
import type { Settings } from '../experiment/settings/settings.js';
import { trainedNetwork } from '../experiment/trained-network.js';
import { VERSION } from '../experiment/version.js';
import type { ReadLimits } from '../formats/read-limited.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import type { DeviceChoice } from '../runtime/device/device.js';
import { chooseDevice } from '../runtime/survey/devices.js';
import { certify } from '../verification/certification/cascade.js';
import { type CertificateFiles, certificateFiles } from '../verification/certification/certificate.js';
import { IMAGE_SECONDS } from '../verification/certification/complete-stage.js';
import { fingerprintOf, type JournalIdentity, openJournal } from '../verification/certification/journal.js';
import type { CertificationOptions, CertificationProgress } from '../verification/certification/options.js';
import {
  type BoundStage,
  boundStages,
  isSoundStage,
  provingRelaxations,
} from '../verification/proof/batch-size.js';
import type { BoxTrace } from '../verification/proof/trace.js';
import { MEMORY } from '../verification/search/complete-search.js';
import { certifiedByWorkers } from './certify-by-workers.js';
import { tellCertification } from './certify-results.js';
import { Interrupted, type Io, type MakeCommand } from './command.js';
import { fetchedDataset } from './fetched-dataset.js';
import { positiveNumber, setting, wholeNumber } from './flag-values.js';
import { fileOfRange, type ImageRange, imageRange, withinSplit } from './image-range.js';
import { certificationProgress } from './progress/certification.js';
import { addressOf, type QueueFlag, queueOption } from './queue-option.js';
import { checkResultFiles } from './result-files.js';
import { clipOptions, shared } from './shared-options.js';

/** As Commander gives them: text where an option takes a value. */
interface CertifyFlags {
  readonly dataset?: string;
  readonly epsilon?: string;
  readonly limit?: string;
  readonly images?: string;
  readonly json?: boolean;
  readonly threads?: string;
  readonly device?: string;
  readonly relaxation?: string;
  readonly dataDir?: string;
  readonly out?: string;
  readonly junit?: string;
  readonly certificate?: string;
  readonly clipBox?: boolean;
  readonly attackSteps?: string;
  readonly attackRestarts?: string;
  readonly seed?: string;
  readonly complete?: boolean;
  readonly sound?: boolean;
  readonly timeout?: string;
  readonly memory?: string;
  readonly queue?: QueueFlag;
}

export const makeCertifyCommand: MakeCommand = (io) => {
  const command = new Command('certify')
    .description('prove the robustness of a trained network, image by image, and look for counterexamples')
    .argument('<network>', 'folder of a finished run, or an ONNX file (.onnx, .onnx.gz)')
    .option('--limit <count>', 'certify this many images only, the first ones (default: all)')
    .option('--images <start:end>', 'certify the images start, …, end − 1 only; each range has its own files')
    .option('--attack-steps <count>', 'gradient steps of the attack (default: 40)')
    .option('--attack-restarts <count>', 'random starts of the attack for each image (default: 3)')
    .option(
      '--complete',
      'decide what is left by branch and bound, one image after the other; goes on where an earlier ' +
        'certification stopped',
    )
    .option(
      '--relaxation <name>',
      `the only relaxation that proves (${provingRelaxations.join('|')}; default: ` +
        `${boundStages.join(', ')} one after the other)`,
    );
  const options = [
    shared('dataset', 'default: that of the run'),
    shared('epsilon', 'default: that of the run'),
    shared('seed', 'default: 0'),
    shared('sound'),
    shared('timeout', `with --complete; default: ${IMAGE_SECONDS}`),
    shared('memory', `default: most of what a device has free, ${MEMORY / 2 ** 20} for a search`),
    ...clipOptions(),
    shared('dataDir'),
    shared('threads', 'default: available cores'),
    shared('device', 'default: cpu'),
    shared(
      'out',
      'JSON lines, one verdict for each image, counterexamples beside it; default: certificate.jsonl in ' +
        'the run',
    ),
    shared('junit', 'falsified is a failure, undecided is skipped'),
    shared('certificate'),
    queueOption('images are certified by the workers of a queue, which share the folder of the network'),
  ];
  for (const option of options) command.addOption(option);
  return command.action((path: string, flags: CertifyFlags) => certifyNetwork(path, flags, io));
};

async function certifyNetwork(path: string, flags: CertifyFlags, io: Io): Promise<void> {
  const numbers = {
    steps: wholeNumber('attack-steps', flags.attackSteps),
    restarts: wholeNumber('attack-restarts', flags.attackRestarts),
    threads: setting('threads', flags.threads, '--threads'),
    seed: setting('seed', flags.seed, '--seed'),
  };
  const relaxation = provingRelaxation(flags);
  const wanted = setting('device', flags.device, '--device') ?? 'cpu';
  const address = queueOf(flags, io);
  const limits = searchLimits(flags, wanted);
  const range = imageRange(flags.images, flags.limit);
  // What can be refused without reading the network is refused before it.
  setting('dataset', flags.dataset, '--dataset');
  setting('epsilon', flags.epsilon, '--epsilon');
  const trained = await trainedNetwork(path, { ...readLimits(flags, io), fromFile: flags.sound });
  const { trainedFor, network } = trained;
  const name = needed('dataset', flags.dataset, trainedFor.dataset, path);
  const epsilon = needed('epsilon', flags.epsilon, trainedFor.epsilon, path);
  const pooling = poolingFrom(trainedFor.pool ?? 'none');
  const misfit = misfitOf(network, pooledDescription(datasetNamed(name), pooling));
  if (misfit !== undefined) throw new UsageError(`${path}: ${misfit}; choose another --dataset`);
  const files = filesOf(trained.certificate, flags, range);
  await checkResultFiles(Object.values(files), [path], flags.out === undefined ? 'verdicts' : '--out');
  for (const name of ['junit', 'certificate'] as const)
    if (flags[name] !== undefined)
      await checkResultFiles([flags[name]], [path, ...Object.values(files)], `--${name}`);
  const dataDir = setting('dataDir', flags.dataDir, '--data-dir') ?? trainedFor.dataDir;
  const device = await chooseDevice(wanted);
  const dataset = await fetchedDataset(name, { dataDir, pool: trainedFor.pool }, io);
  const { steps, restarts, ...rest } = numbers;
  const { indices, notice } = range ? withinSplit(range, dataset.test.count, name) : {};
  if (notice !== undefined) io.stderr.write(`${notice}\n`);

  const progress = certificationProgress(io.stderr);
  const options = {
    epsilon,
    clipBox: flags.clipBox ?? trainedFor.clipBox ?? true,
    attack: { steps, restarts },
    device,
    indices,
    relaxation,
    sound: flags.sound,
    exact: trained.exact,
    ...rest,
  };
  const certified = { network, parameters: trained.parameters, split: dataset.test };
  const journal =
    limits && address === undefined
      ? openJournal(
          journalFile(files),
          identityOf(certified, options, limits, `${path} on ${name}, ε = ${epsilon}`),
        )
      : undefined;
  if (journal && journal.known.size > 0) io.stderr.write(`going on: ${keptIn(files, journal.known.size)}\n`);
  const traces = new Map<number, readonly BoxTrace[]>();
  const update = (state: CertificationProgress) => progress.update(state);
  const whole = { ...certified, ...options };
  const certifying =
    address === undefined
      ? certify({
          ...whole,
          double: trained.double,
          deviceMegabytes: wholeNumber('memory', flags.memory),
          ...(limits && {
            complete: {
              ...{ secondsPerImage: limits.seconds, memoryBytes: limits.bytes, store: journal },
              ...(flags.certificate !== undefined && {
                traced: (image: number, found: readonly BoxTrace[]) => traces.set(image, found),
              }),
            },
          }),
          signal: io.signal,
          progress: update,
        })
      : certifiedByWorkers(
          { address, path, dataset: name, dataDir, complete: limits, options: whole, update },
          io,
        );
  const report = await certifying
    .finally(() => {
      progress.stop();
      journal?.close();
    })
    .catch((error: unknown) => {
      const kept = journal?.known.size ?? 0;
      throw error instanceof Interrupted && kept > 0
        ? new Interrupted(`${error.message}; ${keptIn(files, kept)}, the same command goes on from there`)
        : error;
    });

  const where = `${path}: ${network.name} on ${name}${partOf(range, indices)}`;
  const about = { path, where, files, trained, traces, clip: options.clipBox };
  await tellCertification(report, { ...about, dataset: name, split: dataset.test }, flags, io);
  // What is undecided may be gone on with, given more time.
  journal?.end(report.verdicts);
  io.stderr.write(`verdicts in ${files.verdicts}, counterexamples in ${files.counterexamples}\n`);
}

/** The queue, if there is one. @throws UsageError for flags of this machine beside it */
function queueOf(flags: CertifyFlags, io: Io): Address | undefined {
  const address = addressOf(flags.queue, io);
  for (const name of ['threads', 'device'] as const)
    if (address !== undefined && flags[name] !== undefined)
      throw new UsageError(`--${name}: expected none with --queue, as workers have their own; leave it out`);
  return address;
}

/** How much `--memory` lets be read. */
function readLimits({ memory }: CertifyFlags, { signal }: Io): ReadLimits {
  const megabytes = wholeNumber('memory', memory);
  return { signal, ...(megabytes !== undefined && { most: megabytes * 2 ** 20 }) };
}

/** @throws UsageError for a name that is none */
function provingRelaxation({ relaxation: name, sound }: CertifyFlags): BoundStage | undefined {
  const found = provingRelaxations.find((each) => each === name);
  if (sound && found !== undefined && !isSoundStage(found))
    throw new UsageError(
      `--relaxation: expected one of ${boundStages.join(', ')} with --sound, got ${name}; leave one out`,
    );
  if (name === undefined || found !== undefined) return found;
  throw new UsageError(
    `--relaxation: expected one of ${provingRelaxations.join(', ')}, got "${name}"; check the name`,
  );
}

/**
 * What branch and bound may take for an image; undefined without --complete. @throws UsageError for limits
 * without it
 */
function searchLimits(
  { complete, timeout, memory }: CertifyFlags,
  device: DeviceChoice,
): JournalIdentity['limits'] | undefined {
  const seconds = positiveNumber('timeout', timeout) ?? IMAGE_SECONDS;
  const bytes = (wholeNumber('memory', memory) ?? MEMORY / 2 ** 20) * 2 ** 20;
  if (complete) return { seconds, bytes };
  if (timeout !== undefined)
    throw new UsageError('--timeout: expected --complete beside it, whose search it limits; add --complete');
  if (memory !== undefined && device === 'cpu')
    throw new UsageError(
      '--memory: expected --complete or a --device beside it, which it limits; add one of them',
    );
  return undefined;
}

/** Where verdicts go; those on a range have files of their own. */
const filesOf = (certificate: string, { out, images }: CertifyFlags, range: ImageRange | undefined) =>
  certificateFiles(out ?? (images && range ? fileOfRange(certificate, range) : certificate));

/** ", images 100 to 199" for a range that does not begin at 0. */
const partOf = (range: ImageRange | undefined, indices: readonly number[] | undefined): string =>
  range && indices && range.start > 0 ? `, images ${range.start} to ${indices.at(-1)}` : '';

/** What a certification that stops, or goes on, has: "12 verdicts of the search are kept in …". */
const keptIn = (files: CertificateFiles, count: number): string =>
  `${count} ${count === 1 ? 'verdict of the search is' : 'verdicts of the search are'} kept in ` +
  `${journalFile(files)}`;

/** `certificate.jsonl` → `certificate.journal.jsonl`. */
const journalFile = ({ verdicts }: CertificateFiles): string =>
  `${verdicts.replace(/\.jsonl$/, '')}.journal.jsonl`;

type IdentityOptions = Pick<CertificationOptions, 'epsilon' | 'sound' | 'exact'> & {
  readonly clipBox: boolean;
};

function identityOf(
  { network, parameters, split }: { network: Network; parameters: ParameterArrays; split: Split },
  { epsilon, clipBox, ...proofs }: IdentityOptions,
  limits: JournalIdentity['limits'],
  about: string,
): JournalIdentity {
  const fingerprint = fingerprintOf(network, parameters, split, { epsilon, clip: clipBox }, VERSION, proofs);
  return { fingerprint, about, limits, features: featuresOf(network.input) };
}

/** A setting from its flag or from what was certified. @throws UsageError if neither has it */
function needed<Name extends 'dataset' | 'epsilon'>(
  name: Name,
  flag: string | undefined,
  known: string | number | undefined,
  path: string,
): NonNullable<Settings[Name]> {
  if (flag === undefined && known === undefined)
    throw new UsageError(`--${name}: expected a value, got none, and ${path} does not say; give --${name}`);
  const value =
    flag === undefined ? setting(name, String(known), `${path}: ${name}`) : setting(name, flag, `--${name}`);
  return value as NonNullable<Settings[Name]>;
}
