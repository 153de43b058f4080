/** `tautnet verify`: whether a network fulfils a property, with a proof's verdict or a counterexample. */

import { Command } from 'commander';
import { UsageError } from '../experiment/errors.js';
import type { NamedModel } from '../experiment/query-task.js';
import type { NetworkReading } from '../experiment/trained-network.js';
import {
  type BoxesTask,
  readRobustnessTask,
  readVerification,
  type VerificationTask,
  verifyTask,
} from '../experiment/verification-task.js';
import { writeFileAtomic } from '../formats/atomic-file.js';
import { chooseDevice } from '../runtime/survey/devices.js';
import type { BoxTrace } from '../verification/proof/trace.js';
import { writePropertyCertificate } from './certificate.js';
import { ExitWith, Interrupted, type Io, type MakeCommand, written } from './command.js';
import { positiveNumber, setting, wholeNumber } from './flag-values.js';
import { verificationProgress } from './progress/verification.js';
import { checkResultFiles } from './result-files.js';
import { clipOptions, shared } from './shared-options.js';
import { caveatOf, resultJson, resultText, serialiseAssignments } from './verdict.js';
import { FAILED, outcomeOf, outcomesWithoutAnswer } from './verification-results.js';

/** As Commander gives them: text where an option takes a value. */
interface VerifyFlags {
  readonly network?: readonly string[];
  readonly serialiseAssignments?: string;
  readonly timeout?: string;
  readonly memory?: string;
  readonly threads?: string;
  readonly device?: string;
  readonly sound?: boolean;
  readonly seed?: string;
  readonly json?: boolean;
  readonly out?: string;
  readonly junit?: string;
  readonly certificate?: string;
  readonly dataset?: string;
  readonly index?: string;
  readonly epsilon?: string;
  readonly clipBox?: boolean;
  readonly dataDir?: string;
}

/** A certificate may take so long, or so many times the search. */
const CERTIFICATE_SECONDS = 60;
const CERTIFICATE_SHARE = 3;

const AFTER_HELP = `
The first line on stdout is the verdict: unsat (proved: no input of the property leads to an unsafe
output), sat (a counterexample follows, confirmed by running the file itself), timeout (with --network
timed-out, as VNN-LIB 2.0 has it) or unknown.

Exit codes: 0 unsat, 1 sat, 2 bad input, 3 timeout, 4 unknown, 5 could not be done, 130 interrupted.
`;

export const makeVerifyCommand: MakeCommand = (io) => {
  const command = new Command('verify')
    .description(
      'decide a property (VNN-LIB) of a network, or its robustness at one image: a proof or a counterexample',
    )
    .argument(
      '<network>',
      'an ONNX file (.onnx, .onnx.gz), or the folder of a finished run; with --network the property',
    )
    .argument('[property]', 'a VNN-LIB file (.vnnlib, .vnnlib.gz); left out with --index and --network')
    .option(
      '--network <name=model>',
      'the model of a network of a VNN-LIB 2.0 query; once for each',
      (one: string, others: readonly string[] = []) => [...others, one],
    )
    .option('--serialise-assignments <folder>', 'write counterexamples there as NAME.pb (VNN-LIB 2.0)')
    .option(
      '--index <number>',
      'instead of a property: that the label of this test image, from 0, is kept in the ball around it',
    );
  const options = [
    shared('dataset', 'with --index; default: that of the run'),
    shared('epsilon', 'with --index; default: that of the run'),
    ...clipOptions(),
    shared('dataDir'),
    shared('timeout', 'default: no limit'),
    shared('memory', 'default: most of what a device has free, a part of what the host has free'),
    shared('threads', 'default: available cores'),
    shared('device', 'default: cpu'),
    shared('sound'),
    shared('seed', 'default: 0'),
    shared('out', "the verdict and the counterexample, as the verification competition's tools write them"),
    shared('junit', 'sat is a failure, timeout and unknown are skipped'),
    shared('certificate'),
  ];
  for (const option of options) command.addOption(option);
  return command
    .addHelpText('after', AFTER_HELP)
    .action((network: string, property: string | undefined, flags: VerifyFlags) =>
      verifyProperty(network, property, flags, io),
    );
};

async function verifyProperty(
  networkPath: string,
  propertyPath: string | undefined,
  flags: VerifyFlags,
  io: Io,
): Promise<never> {
  try {
    throw new ExitWith(await answerOf(networkPath, propertyPath, flags, io));
  } catch (error) {
    if (error instanceof ExitWith || error instanceof UsageError || error instanceof Interrupted) throw error;
    await leave('error', error, flags, io);
    throw new ExitWith(FAILED, error);
  }
}

/** The verdict on an instance that was refused or failed, where somebody looks for one. */
async function leave(verdict: 'unknown' | 'error', error: unknown, flags: VerifyFlags, io: Io) {
  const reason = (error instanceof Error ? error.message : `${error}`).split('\n')[0];
  io.watchdog?.answering();
  if (flags.out !== undefined) await writeFileAtomic(flags.out, `${verdict}\n`).catch(() => undefined);
  if (flags.json) await written(io.stdout, `${JSON.stringify({ verdict, reason })}\n`).catch(() => undefined);
}

/** What the command line names: models, of the networks of a query where it says so, and a property. */
interface Files {
  readonly models: readonly NamedModel[];
  readonly propertyPath: string | undefined;
  /** Whether it is the standard's command line. */
  readonly standard: boolean;
}

function filesOf(first: string, second: string | undefined, { network = [] }: VerifyFlags): Files {
  if (network.length === 0) return { models: [{ path: first }], propertyPath: second, standard: false };
  const models = network.map((one): NamedModel => {
    const [, name = '', path = ''] = /^([^=]+)=(.+)$/.exec(one) ?? [];
    if (name === '' || path === '')
      throw new UsageError(`--network: expected a name and a model such as f=model.onnx, got ${one}`);
    return { name, path };
  });
  if (second !== undefined)
    throw new UsageError(`--network: expected the property alone beside it, got ${second} too; leave it out`);
  return { models, propertyPath: first, standard: true };
}

/** The exit code of the answer, once it is told. */
async function answerOf(
  first: string,
  second: string | undefined,
  flags: VerifyFlags,
  io: Io,
): Promise<number> {
  const files = filesOf(first, second, flags);
  const { models, propertyPath, standard } = files;
  const started = performance.now() - 1000 * (io.watchdog?.secondsSoFar() ?? 0);
  const megabytes = wholeNumber('memory', flags.memory);
  const timeout = positiveNumber('timeout', flags.timeout);
  const options = {
    threads: setting('threads', flags.threads, '--threads'),
    seed: setting('seed', flags.seed, '--seed'),
    ...(megabytes !== undefined && { memoryBytes: megabytes * 2 ** 20, deviceMegabytes: megabytes }),
  };
  const wanted = setting('device', flags.device, '--device') ?? 'cpu';
  const limits = {
    ...{ most: options.memoryBytes, signal: io.signal, fromFile: flags.sound },
    // A certificate is about the file's own neurons.
    ...(flags.certificate !== undefined && { distinct: false }),
  };
  const task = taskOf(files, flags, limits);
  const paths = models.map(({ path }) => path);
  const inputs = propertyPath === undefined ? paths : [...paths, propertyPath];
  for (const flag of ['out', 'junit', 'certificate'] as const) {
    const file = flags[flag];
    if (file !== undefined) await checkResultFiles([file], inputs, `--${flag}`);
  }
  const subject = { network: paths.join(' '), property: propertyPath ?? `image ${flags.index}` };
  if (timeout !== undefined)
    io.watchdog?.promise(timeout, outcomesWithoutAnswer(subject, timeout, flags, standard));
  const asked = await task().catch(async (error) => {
    if (error instanceof UsageError) await leave('unknown', error, flags, io);
    throw error;
  });
  const { file, image, model } = asked;
  const progress = verificationProgress(io.stderr);
  const traces: BoxTrace[] = [];
  try {
    const device = await chooseDevice(wanted);
    // Reading counts, too; what is left of the limit may be nothing, and then that is the answer.
    const timeoutSeconds =
      timeout === undefined ? undefined : Math.max(1e-3, timeout - secondsSince(started));
    const verification = await verifyTask(asked, {
      ...options,
      device,
      sound: flags.sound,
      timeoutSeconds,
      signal: io.signal,
      ...(flags.certificate !== undefined && { traced: (found) => traces.push(...found) }),
      progress: (state) => progress.update(state),
    }).finally(() => progress.stop());
    io.watchdog?.answering();
    const folder = flags.serialiseAssignments;
    if (folder !== undefined) await serialiseAssignments(folder, asked, verification);
    const known =
      folder !== undefined && asked.query ? { ...verification, counterexample: undefined } : verification;
    const shown = {
      ...verification,
      text: resultText(asked, known, standard),
      json: resultJson(asked, verification, standard),
    };
    const { code, stdout, files: results } = outcomeOf(shown, subject, secondsSince(started), flags);
    for (const [name, text] of Object.entries(results)) await writeFileAtomic(name, text);
    await written(io.stdout, stdout);
    const caveat = caveatOf(asked, verification);
    if (caveat !== undefined) io.stderr.write(`${caveat}\n`);
    if (verification.reason !== undefined) io.stderr.write(`${verification.reason}\n`);
    if (flags.certificate !== undefined && verification.verdict === 'unsat') {
      if ('networks' in asked) {
        io.stderr.write(`no certificate: ${asked.without}; the proof is of what boxes make of the model\n`);
        return code;
      }
      const seconds = Math.max(CERTIFICATE_SECONDS, CERTIFICATE_SHARE * verification.seconds);
      const about = {
        file,
        seconds,
        traces,
        ...(image ? { image } : { propertyPath: propertyPath as string }),
      };
      await writePropertyCertificate(flags.certificate, about, io);
    }
    return code;
  } finally {
    await model.close();
  }
}

const secondsSince = (started: number): number => (performance.now() - started) / 1000;

/**
 * What is to be read: a property's file, or one image's ball. @throws UsageError for neither or both, before
 * anything is read
 */
function taskOf(
  { models, propertyPath }: Files,
  flags: VerifyFlags,
  limits: NetworkReading,
): () => Promise<VerificationTask | BoxesTask> {
  const { index, dataset, epsilon, dataDir, clipBox } = flags;
  if (index === undefined) {
    const idle = Object.entries({ '--dataset': dataset, '--epsilon': epsilon, '--data-dir': dataDir }).find(
      ([, value]) => value !== undefined,
    );
    if (idle)
      throw new UsageError(`${idle[0]}: expected --index beside it, the number of a test image; add --index`);
    if (propertyPath === undefined)
      throw new UsageError(
        'verify: expected a VNN-LIB file, or --index with the number of a test image, got neither',
      );
    return () => readVerification(models, propertyPath, limits);
  }
  if (propertyPath !== undefined)
    throw new UsageError(
      `--index: expected no property beside it, got ${propertyPath}; leave out one of them`,
    );
  if (!/^\d{1,9}$/.test(index))
    throw new UsageError(`--index: expected the number of a test image, from 0, got "${index}"`);
  const choice = {
    index: Number(index),
    dataset: setting('dataset', dataset, '--dataset'),
    epsilon: setting('epsilon', epsilon, '--epsilon'),
    dataDir: setting('dataDir', dataDir, '--data-dir'),
    clipBox,
    ...limits,
  };
  return () => readRobustnessTask((models[0] as NamedModel).path, choice);
}
