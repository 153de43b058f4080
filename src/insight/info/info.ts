/**
 * What a path is, told from its content and not from its name: the folder of a run, an ONNX network, a
 * VNN-LIB property, tensors, verdicts, a certificate, events, settings, a result of `verify`.
 */

import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, UsageError } from '../../experiment/errors.js';
import { percent } from '../../experiment/percent.js';
import { readMetrics } from '../../experiment/run/metrics.js';
import { runPaths } from '../../experiment/run/run-folder.js';
import { quoted } from '../../experiment/run/summary.js';
import { readConfigFile } from '../../experiment/settings/config-file.js';
import { kebab } from '../../experiment/settings/setting-text.js';
import { trainedNetwork } from '../../experiment/trained-network.js';
import { methodTitle } from '../../experiment/training-method.js';
import { countRecords } from '../../formats/event-file.js';
import { toFileError } from '../../formats/file-error.js';
import { FormatError } from '../../formats/format-error.js';
import { readUnpacked } from '../../formats/read-limited.js';
import { readCertificateLines } from '../../verification/certification/certificate-lines.js';
import { readResults } from '../runs/run-results.js';
import { describeCertificate, isCertificate } from './certificates.js';
import type { Description } from './description.js';
import { describeEvents, describeSafetensors, describeVerdicts, describeVnnlib } from './files.js';
import { boundsOf, describeOnnx, networkFacts } from './networks.js';

type Described = Omit<Description, 'path' | 'bytes'>;

async function describeRun(path: string): Promise<Described> {
  const { settings, finished, metrics, accuracies, verdicts, version } = await readResults(path);
  const trained = finished ? await trainedNetwork(path) : undefined;
  const { dataset, epsilon, architecture, epochs } = settings;
  return {
    kind: finished ? 'finished run' : 'unfinished run',
    facts: [
      ['trained', `${architecture} on ${dataset}, ε = ${epsilon}: ${methodTitle(settings)}`],
      ['written by', `tautnet ${version}`],
      ['epochs', `${metrics.at(-1)?.epoch ?? 0} of ${epochs}`],
      ...(trained ? networkFacts(trained.network) : []),
      ...(accuracies && verdicts
        ? ([
            ['certified', `${percent(accuracies.certified)} of ${verdicts.length} test images`],
            ['natural', percent(accuracies.natural)],
            ['adversarial', percent(accuracies.adversarial)],
          ] as const)
        : []),
    ],
    ...(trained && { bounds: boundsOf(trained.network) }),
    next: finished
      ? [
          ...(verdicts ? [] : [`tautnet certify ${quoted(path)}`]),
          `tautnet report ${quoted(path)}`,
          `tautnet landscape ${quoted(path)}`,
        ]
      : [`tautnet train --resume ${quoted(path)}`],
  };
}

async function describeFolder(path: string): Promise<Described> {
  if (existsSync(runPaths(path).config)) return describeRun(path);
  const names = await readdir(path);
  const runs = names.filter((name) => existsSync(runPaths(join(path, name)).config));
  if (runs.length === 0)
    throw new UsageError(`${path}: expected a run or a file, got a folder without runs; check the path`);
  return {
    kind: 'folder of runs',
    facts: [
      ['runs', String(runs.length)],
      ...runs.slice(0, 20).map((name, i) => [`${i + 1}`, name] as const),
    ],
    next: [`tautnet compare ${quoted(path)}`],
  };
}

/** A safetensors file begins with the length of its header (uint64) and the header, a JSON object. */
const isSafetensors = (bytes: Uint8Array): boolean =>
  bytes.length > 9 && bytes[8] === 0x7b && bytes[6] === 0 && bytes[7] === 0;

/** The first line of text that begins with one of these says what `verify` found. */
const RESULT = /^(sat|unsat|unknown|timeout|timed-out|holds|violated)\b/;

async function describeConfig(path: string): Promise<Described> {
  const { given } = await readConfigFile(path);
  return {
    kind: 'settings of a run',
    facts: Object.entries(given).map(([name, value]) => [kebab(name), String(value)] as const),
    next: [`tautnet train --config ${quoted(path)} --out <folder>`],
  };
}

async function describeText(path: string, bytes: Uint8Array): Promise<Described | undefined> {
  const start = Buffer.from(bytes.subarray(0, 4096)).toString('utf8').trimStart();
  const result = RESULT.exec(start)?.[1];
  if (result !== undefined)
    return { kind: 'result of verify', facts: [['answer', result]], next: ['tautnet verify --help'] };
  if (/^(;|\()/.test(start)) return describeVnnlib(path, bytes);
  if (isCertificate(start)) return describeCertificate(path, bytes);
  if (/^tautnet:\s/.test(start)) return describeConfig(path);
  if (/^\{"image":/.test(start)) return describeVerdicts((await readCertificateLines(path)) ?? []);
  if (/^\{"step":/.test(start)) {
    const metrics = await readMetrics(path);
    const last = metrics.at(-1);
    return {
      kind: 'metrics of a run',
      facts: [
        ['records', String(metrics.length)],
        ['last step', String(last?.step ?? 0)],
        ['names', Object.keys(last ?? {}).join(', ')],
      ],
      next: ['tautnet export-metrics <folder of the run>'],
    };
  }
  return undefined;
}

/** Whether bytes are text as tautnet writes it: no control characters at their start. */
const isText = (bytes: Uint8Array): boolean =>
  bytes.length > 0 && bytes.subarray(0, 512).every((byte) => byte >= 0x20 || (byte >= 9 && byte <= 13));

async function describeFile(path: string): Promise<Described> {
  const bytes = await readUnpacked(path);
  const unknown = () =>
    new UsageError(
      `${path}: expected a run or one of its files, an ONNX network, a VNN-LIB property, safetensors or a ` +
        'certificate, got something else; check the path',
    );
  if (isSafetensors(bytes)) return describeSafetensors(path, bytes);
  const events = countRecords(bytes);
  if (events !== undefined) return describeEvents(events);
  if (isText(bytes)) {
    const found = await describeText(path, bytes);
    if (found === undefined) throw unknown();
    return found;
  }
  // The first field of an ONNX file is its version, a small number.
  if (bytes[0] === 0x08) return describeOnnx(path, bytes);
  throw unknown();
}

async function sizeOf(path: string): Promise<number> {
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/**
 * Describes a file or a folder.
 * @throws UsageError for what is none of ours; Failure for what is damaged, each in one line
 */
export async function describe(path: string): Promise<Description> {
  const found = await stat(path).catch((error: unknown) => {
    throw new UsageError(toFileError(path, 'read', error).message, { cause: error });
  });
  const isFolder = found.isDirectory();
  try {
    const described = isFolder ? await describeFolder(path) : await describeFile(path);
    return { path, bytes: isFolder ? await sizeOf(path) : found.size, ...described };
  } catch (error) {
    throw error instanceof FormatError ? new Failure(error.message, { cause: error }) : error;
  }
}
