/**
 * Metrics of a run: one JSON object a line, appended as training goes (`metrics.jsonl`).
 *
 * Each line is written with one call, so that `tail -f` and a crash see whole lines; at most the last one can
 * be torn, and readers pass over it. When a run is resumed, lines after its checkpoint are cut off: no step
 * is there twice.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { toFileError } from '../../formats/file-error.js';
import { Failure } from '../errors.js';

/** One line. Numbers that JSON has not (NaN, infinities) become null. */
export interface MetricsRecord {
  /** Optimiser steps done. Lines are in the order of their steps. */
  readonly step: number;
  /** Epochs done, fractional. */
  readonly epoch: number;
  readonly [name: string]: number | string | boolean | null | undefined;
}

/** Name of the share of unstable neurons of the ReLU layer with this index: `unstable1` for the first. */
export const unstableMetric = (layer: number): string => `unstable${layer + 1}`;

export interface MetricsWriter {
  /** Appends one line; it is with the operating system when this returns. @throws FileError */
  write(record: MetricsRecord): void;
  close(): void;
}

/**
 * Opens `path` for appending, creating it if it is not there.
 * @param upToStep lines of later steps, and a torn last line, are removed: the step of the checkpoint that a
 *  run is resumed from
 * @throws FileError; Failure for a file that holds something else
 */
export function openMetrics(path: string, upToStep = Number.POSITIVE_INFINITY): MetricsWriter {
  const attempt = <T>(action: string, operation: () => T): T => {
    try {
      return operation();
    } catch (error) {
      throw error instanceof Failure ? error : toFileError(path, action, error);
    }
  };
  const descriptor = attempt('open', () => openSync(path, 'a+'));
  try {
    const kept = attempt('read', () => keptBytes(readFileSync(path), upToStep, path));
    if (kept < fstatSync(descriptor).size) attempt('truncate', () => ftruncateSync(descriptor, kept));
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return {
    write(record) {
      const line = Buffer.from(`${JSON.stringify(record)}\n`);
      const size = fstatSync(descriptor).size;
      try {
        for (let done = 0; done < line.length; ) done += writeSync(descriptor, line, done);
      } catch (error) {
        // Half a line must not stay: more may follow once there is space again.
        ftruncateSync(descriptor, size);
        throw toFileError(path, 'write', error);
      }
    },
    close: () => closeSync(descriptor),
  };
}

/**
 * Every whole line of `path`; none if it is not there. @throws FileError; Failure naming a line that is no
 * metrics
 */
export async function readMetrics(path: string): Promise<MetricsRecord[]> {
  try {
    return [...linesOf(await readFile(path), path)].map(({ record }) => record);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error instanceof Failure ? error : toFileError(path, 'read', error);
  }
}

/** Where the line after the last one of steps up to `upToStep` begins. */
function keptBytes(bytes: Buffer, upToStep: number, path: string): number {
  let kept = 0;
  for (const { record, end } of linesOf(bytes, path)) {
    if (record.step > upToStep) break;
    kept = end;
  }
  return kept;
}

const NEWLINE = 0x0a;

/** Whole lines and where each ends; what follows the last newline is torn and passed over. */
function* linesOf(bytes: Buffer, path: string): Generator<{ record: MetricsRecord; end: number }> {
  let line = 1;
  for (let begin = 0; ; line++) {
    const newline = bytes.indexOf(NEWLINE, begin);
    if (newline < 0) return;
    const text = bytes.toString('utf8', begin, newline);
    begin = newline + 1;
    const record = recordFrom(text);
    if (record !== undefined) yield { record, end: begin };
    // After a power failure the last line may be there with its newline but without its content.
    else if (begin < bytes.length)
      throw new Failure(
        `${path}, line ${line}: expected a JSON object with a step, got "${text.slice(0, 60)}"; remove ` +
          'that line',
      );
  }
}

function recordFrom(text: string): MetricsRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && typeof (value as MetricsRecord).step === 'number'
      ? (value as MetricsRecord)
      : undefined;
  } catch {
    return undefined;
  }
}
