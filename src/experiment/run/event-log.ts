/**
 * A run's metrics for TensorBoard, beside `metrics.jsonl` and made from it: `tensorboard --logdir runs`.
 *
 * When a run goes on, the file is written anew from the metrics that are kept, so that no step is there
 * twice. Wall times are the run's beginning plus its seconds of work.
 */
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import {
  encodeFileVersion,
  encodeHyperparameters,
  encodeScalars,
  type HyperparameterValue,
} from '../../formats/event-file.js';
import { toFileError } from '../../formats/file-error.js';
import { kebab, textFromValue } from '../settings/setting-text.js';
import { EXPERIMENT_SETTINGS, type Settings, settingsInUse } from '../settings/settings.js';
import type { MetricsRecord } from './metrics.js';
import type { RunPaths } from './run-folder.js';

export interface EventLog {
  /** Appends one record. @throws FileError */
  write(record: MetricsRecord): void;
  close(): void;
}

/** Metrics that runs are compared by. */
const COMPARED = [
  'validationNaturalAccuracy',
  'validationCertifiedAccuracy',
  'naturalAccuracy',
  'certifiedAccuracy',
];

const plain = (value: unknown): HyperparameterValue =>
  typeof value === 'number' || typeof value === 'boolean' ? value : textFromValue(value);

/** Settings that say what a run computes, by their names in files. */
export function hyperparametersOf(settings: Settings): Record<string, HyperparameterValue> {
  const names = settingsInUse(settings).filter((name) => EXPERIMENT_SETTINGS.includes(name));
  return Object.fromEntries(names.map((name) => [kebab(name), plain(settings[name])]));
}

/** The numbers of a record but for what it is placed by. */
const scalarsOf = ({ step: _, ...rest }: MetricsRecord): Record<string, number> =>
  Object.fromEntries(
    Object.entries(rest).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );

/**
 * Opens the event file of a run.
 * @param earlier metrics of the run so far
 * @throws FileError
 */
export function openEventLog(
  { events, config }: Pick<RunPaths, 'events' | 'config'>,
  settings: Settings,
  earlier: readonly MetricsRecord[],
): EventLog {
  const attempt = <T>(action: string, operation: () => T): T => {
    try {
      return operation();
    } catch (error) {
      throw toFileError(events, action, error);
    }
  };
  const begun = attempt('read', () => statSync(config)).mtimeMs / 1000;
  const descriptor = attempt('open', () => openSync(events, 'w'));
  const append = (bytes: Uint8Array): void =>
    attempt('write', () => {
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
    });
  const write = (record: MetricsRecord): void => {
    const seconds = typeof record.seconds === 'number' ? record.seconds : 0;
    append(encodeScalars(begun + seconds, record.step, scalarsOf(record)));
  };
  try {
    append(encodeFileVersion(begun));
    append(encodeHyperparameters(begun, hyperparametersOf(settings), COMPARED));
    for (const record of earlier) write(record);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return { write, close: () => closeSync(descriptor) };
}
