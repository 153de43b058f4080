/** The result of `tautnet certify`: what it prints and the files it writes. */
import { join } from 'node:path';
import type { Split } from '../data/dataset.js';
import { keepCertification } from '../experiment/run/certification-record.js';
import type { TrainedNetwork } from '../experiment/trained-network.js';
import { featuresOf } from '../network/layers/layer.js';
import { type CertificateFiles, writeCertificate } from '../verification/certification/certificate.js';
import type { CertificationReport, Verdict } from '../verification/certification/verdict.js';
import type { BoxTrace } from '../verification/proof/trace.js';
import { writeImageCertificate } from './certificate.js';
import { certificationTable } from './certification-table.js';
import type { Io } from './command.js';
import { writeJunit } from './junit.js';

/** Flags that ask for results. */
interface ResultFlags {
  readonly json?: boolean;
  readonly junit?: string;
  readonly certificate?: string;
}

/** What a report is about. */
export interface Reported {
  readonly path: string;
  readonly where: string;
  readonly files: CertificateFiles;
  readonly trained: TrainedNetwork;
  /** Name of the data set, and its test images. */
  readonly dataset: string;
  readonly split: Split;
  readonly clip: boolean;
  readonly traces: ReadonlyMap<number, readonly BoxTrace[]>;
}

/** Prints a report and writes its files. */
export async function tellCertification(
  report: CertificationReport,
  about: Reported,
  flags: ResultFlags,
  io: Io,
): Promise<void> {
  const { path, where, files, trained, dataset, split, clip, traces } = about;
  const { network } = trained;
  const { verdicts, ...result } = report;
  const { epsilon } = result;
  io.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : certificationTable(report, where));
  await writeCertificate(files, report, featuresOf(network.input), {
    dataset,
    network: network.name,
    'clip-box': String(clip),
  });
  // Verdicts that are the run's own are told on its page, too.
  if (files.verdicts === join(path, 'certificate.jsonl')) await keepCertification(path, result);
  if (flags.junit !== undefined) await writeVerdictsAsJunit(flags.junit, path, verdicts);
  if (flags.certificate === undefined) return;
  const proofs = { file: trained.file, split, ball: { epsilon, clip }, verdicts, traces };
  await writeImageCertificate(flags.certificate, proofs, io);
}

/** A report for continuous integration: a test for each image. */
const writeVerdictsAsJunit = (file: string, path: string, verdicts: readonly Verdict[]): Promise<void> =>
  writeJunit(
    file,
    `tautnet certify ${path}`,
    verdicts.map(({ image, label, verdict, stage }) => ({
      name: `image ${image}, label ${label}`,
      ...(verdict === 'falsified' && { failure: stage === 'natural' ? 'misclassified' : verdict }),
      ...(verdict === 'undecided' && { skipped: verdict }),
    })),
  );
