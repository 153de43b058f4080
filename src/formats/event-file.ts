/**
 * TensorBoard event files: scalars by step, and the hyperparameters of a run.
 *
 * A file is a sequence of records (TFRecord): the length of the data (uint64), a masked CRC-32C of it, the
 * data, and a masked CRC-32C of them; all little-endian. The data of a record is one `Event` message:
 * github.com/tensorflow/tensorflow, core/util/event.proto and core/framework/summary.proto; hyperparameters
 * are those of tensorboard/plugins/hparams/plugin_data.proto.
 */
import { createRequire } from 'node:module';
import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** The package has no types for this file of it. */
const crc32c = createRequire(import.meta.url)('crc-32/crc32c.js') as { buf(data: Uint8Array): number };

const MASK = 0xa282ead8;

/**
 * CRC-32C (Castagnoli), rotated by 15 bits and shifted, so that data that holds checksums keeps them apart.
 */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c.buf(bytes) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + MASK) >>> 0;
}

/** One record around `data`. */
export function encodeRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/** Whole records with right checksums that bytes begin with; undefined where there is none. */
export function countRecords(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let count = 0;
  for (let at = 0; at + 16 <= bytes.length; count++) {
    if (view.getUint32(at + 8, true) !== maskedCrc(bytes.subarray(at, at + 8))) break;
    const end = at + 12 + Number(view.getBigUint64(at, true));
    if (end + 4 > bytes.length || view.getUint32(end, true) !== maskedCrc(bytes.subarray(at + 12, end)))
      break;
    at = end + 4;
  }
  return count === 0 ? undefined : count;
}

type Write = (writer: BinaryWriter) => void;

const message = (writer: BinaryWriter, field: number, write: Write): void => {
  writer.tag(field, 2).fork();
  write(writer);
  writer.join();
};

/** An `Event`: wall time in seconds since 1970, step, and what happened. */
function event(time: number, step: number, write: Write): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, 1).double(time);
  writer.tag(2, 0).int64(step);
  write(writer);
  return encodeRecord(writer.finish());
}

/** The record that a file begins with. */
export const encodeFileVersion = (time: number): Uint8Array =>
  event(time, 0, (writer) => writer.tag(3, 2).string('brain.Event:2'));

/** One record with a value for each tag; numbers that are not finite are left out. */
export function encodeScalars(
  time: number,
  step: number,
  scalars: Readonly<Record<string, number>>,
): Uint8Array {
  return event(time, step, (writer) =>
    message(writer, 5, (summary) => {
      for (const [tag, value] of Object.entries(scalars))
        if (Number.isFinite(value))
          message(summary, 1, (one) => {
            one.tag(1, 2).string(tag);
            one.tag(2, 5).float(value);
          });
    }),
  );
}

export type HyperparameterValue = number | string | boolean;
/** Types of hyperparameters in an `Experiment`. */
const DATA_TYPE = { string: 1, boolean: 2, number: 3 } as const;

/** A summary value of the hyperparameter plugin. */
const plugin = (writer: BinaryWriter, tag: string, content: Write): void =>
  message(writer, 5, (summary) =>
    message(summary, 1, (value) => {
      value.tag(1, 2).string(tag);
      // A scalar zero, as readers pass over values without any.
      message(value, 8, (tensor) => {
        tensor.tag(1, 0).int32(1);
        message(tensor, 2, () => undefined);
        tensor.tag(5, 2).bytes(new Uint8Array(4));
      });
      message(value, 9, (metadata) =>
        message(metadata, 1, (data) => {
          data.tag(1, 2).string('hparams');
          message(data, 2, content);
        }),
      );
    }),
  );

/** `google.protobuf.Value`. */
function protobufValue(writer: BinaryWriter, value: HyperparameterValue): void {
  if (typeof value === 'number') writer.tag(2, 1).double(value);
  else if (typeof value === 'string') writer.tag(3, 2).string(value);
  else writer.tag(4, 0).bool(value);
}

/**
 * Two records: which hyperparameters and metrics there are, and those of this run.
 * @param metrics tags of scalars that runs are compared by
 */
export function encodeHyperparameters(
  time: number,
  hyperparameters: Readonly<Record<string, HyperparameterValue>>,
  metrics: readonly string[],
): Uint8Array {
  const named = Object.entries(hyperparameters);
  const experiment = event(time, 0, (writer) =>
    plugin(writer, '_hparams_/experiment', (data) =>
      message(data, 2, (content) => {
        for (const [name, value] of named)
          message(content, 4, (info) => {
            info.tag(1, 2).string(name);
            info.tag(4, 0).int32(DATA_TYPE[typeof value as keyof typeof DATA_TYPE]);
          });
        for (const tag of metrics)
          message(content, 5, (info) => message(info, 1, (name) => name.tag(2, 2).string(tag)));
      }),
    ),
  );
  const session = event(time, 0, (writer) =>
    plugin(writer, '_hparams_/session_start_info', (data) =>
      message(data, 3, (content) => {
        for (const [name, value] of named)
          message(content, 1, (entry) => {
            entry.tag(1, 2).string(name);
            message(entry, 2, (given) => protobufValue(given, value));
          });
        content.tag(5, 1).double(time);
      }),
    ),
  );
  return Buffer.concat([experiment, session]);
}
