/**
 * The journal of a certification: verdicts of its complete stage, one JSON line each, appended as soon as
 * they are known, so that a process that is killed loses no more than the image it was working on.
 *
 * ```
 * {"journal":1,"fingerprint":"5c1d…","about":"mnist, ε = 0.1"}
 * {"image":371,"label":4,"verdict":"certified","margin":0.00001}
 * {"image":412,"label":9,"verdict":"falsified","margin":-0.02,"counterexample":"AAAAPw…"}
 * {"image":495,"label":8,"verdict":"undecided","margin":-0.4,"seconds":60,"bytes":2147483648}
 * {"ended":true}
 * ```
 * `counterexample` is base64 of float32. Verdicts hold for one fingerprint: network, parameters, images and
 * ball. An undecided image counts as known while nobody allows more time or memory than it was given. Lines
 * that are not whole are passed over: they were being written when the process ended. Nothing is ever cut
 * off, so that a second process cannot damage what the first one writes.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import type { Split } from '../../data/dataset.js';
import { toFileError } from '../../formats/file-error.js';
import { FormatError } from '../../formats/format-error.js';
import { encodeProgram, input } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { logits, type Network, parameterInputs } from '../../network/network.js';
import { flatten, type ParameterArrays, parameterLayout } from '../../network/parameters.js';
import type { Ball } from '../property/robustness.js';
import type { CertificationOptions, VerdictStore } from './options.js';
import type { Verdict } from './verdict.js';

export interface JournalIdentity {
  /** Of `fingerprintOf`. */
  readonly fingerprint: string;
  /** The same for people. */
  readonly about: string;
  /** What an image may take. */
  readonly limits: { readonly seconds: number; readonly bytes: number };
  /** Pixels of an image. */
  readonly features: number;
}

export interface CertificationJournal extends VerdictStore {
  /**
   * Verdicts that were read and those appended since: what a certification that stops now can be gone on
   * with.
   */
  readonly known: ReadonlyMap<number, Verdict>;
  /**
   * Ends the journal: it goes if all images are decided, and stays for a certification with more time if some
   * are not.
   */
  end(verdicts: readonly Verdict[]): void;
  /** Leaves the journal to be gone on with. */
  close(): void;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/**
 * A digest of all that a verdict is about: what the network computes, the images with their labels, the ball;
 * and who says so, the version; where proofs are `sound`, that they are, and the numbers beyond float32.
 */
export function fingerprintOf(
  network: Network,
  parameters: ParameterArrays,
  { images, labels }: Split,
  { epsilon, clip }: Ball,
  version: string,
  { sound = false, exact = {} }: Pick<CertificationOptions, 'sound' | 'exact'> = {},
): string {
  const x = input('x', [featuresOf(network.input), 1]);
  const program = encodeProgram({ y: logits(network, parameterInputs(network), x) });
  const hash = createHash('sha256').update(
    JSON.stringify({ epsilon, clip, version, ...(sound && { sound }) }),
  );
  for (const part of [program.bytes, flatten(parameters, parameterLayout(network)), images, labels])
    hash.update(bytesOf(part));
  if (sound) for (const [name, numbers] of Object.entries(exact)) hash.update(name).update(bytesOf(numbers));
  return hash.digest('hex');
}

/**
 * Opens the journal at `path`; the file is made when the first verdict comes.
 * @throws FormatError for a journal that another certification has not ended, and for a file that is none;
 *  FileError
 */
export function openJournal(path: string, identity: JournalIdentity): CertificationJournal {
  const text = attempt(path, 'read', () => readFileSync(path, 'utf8'), '');
  const [first = '', ...lines] = text.split('\n');
  const header = parsed(first);
  const own = header?.fingerprint === identity.fingerprint;
  if (!own && lines.length > 0) {
    if (header?.journal !== 1)
      throw new FormatError(
        `${path}: expected the journal of a certification, got "${first.slice(0, 60)}"; move that file away`,
      );
    if (parsed(lines.findLast((line) => line !== '') ?? '')?.ended !== true)
      throw new FormatError(
        `${path}: expected the journal of ${identity.about}, got that of ${header.about} for this or ` +
          'another network, which has not ended; finish that certification, remove the file, or choose ' +
          'another with --out',
      );
  }
  const known = new Map<number, Verdict>();
  for (const line of own ? lines : []) {
    const verdict = verdictFrom(parsed(line), identity);
    if (verdict) known.set(verdict.image, verdict);
  }

  let descriptor: number | undefined;
  const { fingerprint, about } = identity;
  // What comes before the first line: the header or, so that what follows half a line begins a new one, its
  // end.
  let before = own
    ? text.endsWith('\n')
      ? ''
      : '\n'
    : `${JSON.stringify({ journal: 1, fingerprint, about })}\n`;
  let mode: 'a' | 'w' = own ? 'a' : 'w';
  const write = (entry: object): void => {
    descriptor ??= attempt(path, 'open', () => openSync(path, mode));
    const line = Buffer.from(`${before}${JSON.stringify(entry)}\n`);
    // A journal that is opened again has been begun.
    [before, mode] = ['', 'a'];
    attempt(path, 'write', () => {
      for (let done = 0; done < line.length; ) done += writeSync(descriptor as number, line, done);
      fsyncSync(descriptor as number);
    });
  };
  const close = (): void => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return {
    known,
    append(verdict) {
      write(entryOf(verdict, identity));
      known.set(verdict.image, verdict);
    },
    end(verdicts) {
      if (verdicts.every(({ verdict }) => verdict !== 'undecided')) {
        close();
        attempt(path, 'remove', () => rmSync(path, { force: true }));
        return;
      }
      write({ ended: true });
      close();
    },
    close,
  };
}

/** @param missing what a file that is not there counts as; an error unless given */
function attempt<T>(path: string, action: string, operation: () => T, missing?: T): T {
  try {
    return operation();
  } catch (error) {
    if (missing !== undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return missing;
    throw toFileError(path, action, error);
  }
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function entryOf({ stage: _, ...verdict }: Verdict, { limits }: JournalIdentity): object {
  if (verdict.verdict === 'falsified')
    return { ...verdict, counterexample: Buffer.from(bytesOf(verdict.counterexample)).toString('base64') };
  return verdict.verdict === 'undecided' ? { ...verdict, ...limits } : verdict;
}

/** The verdict of a line, if it is one that still counts. */
function verdictFrom(
  entry: Record<string, unknown> | undefined,
  { limits, features }: JournalIdentity,
): Verdict | undefined {
  const { image, label, verdict, margin, counterexample, seconds, bytes } = entry ?? {};
  if (typeof image !== 'number' || typeof label !== 'number') return undefined;
  // No bound at all is no number in JSON.
  const judged = { image, label, margin: typeof margin === 'number' ? margin : Number.NEGATIVE_INFINITY };
  if (verdict === 'certified') return { ...judged, verdict, stage: 'branch-and-bound' };
  if (verdict === 'falsified' && typeof counterexample === 'string') {
    const pixels = Uint8Array.from(Buffer.from(counterexample, 'base64'));
    return pixels.length === 4 * features
      ? { ...judged, verdict, stage: 'branch-and-bound', counterexample: new Float32Array(pixels.buffer) }
      : undefined;
  }
  const enough =
    typeof seconds === 'number' &&
    typeof bytes === 'number' &&
    seconds >= limits.seconds &&
    bytes >= limits.bytes;
  return verdict === 'undecided' && enough ? { ...judged, verdict, stage: null } : undefined;
}
