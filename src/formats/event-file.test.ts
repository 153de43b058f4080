import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeFileVersion,
  encodeHyperparameters,
  encodeRecord,
  encodeScalars,
  maskedCrc,
} from './event-file.js';

interface Reflection {
  parse(schema: string): { root: { lookupType(name: string): MessageType } };
}
interface MessageType {
  decode(bytes: Uint8Array): unknown;
  toObject(message: unknown, options: object): Record<string, never>;
}
/** An independent reader of messages, by the published schemas. */
const protobuf = createRequire(import.meta.url)('protobufjs') as Reflection;
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Event {
    double wall_time = 1; int64 step = 2; oneof what { string file_version = 3; Summary summary = 5; }
  }
  message Summary { repeated Value value = 1; }
  message Value {
    string tag = 1; SummaryMetadata metadata = 9;
    oneof value { float simple_value = 2; TensorProto tensor = 8; }
  }
  message TensorProto { int32 dtype = 1; TensorShapeProto tensor_shape = 2; repeated float float_val = 5; }
  message TensorShapeProto { bool unknown_rank = 3; }
  message SummaryMetadata { PluginData plugin_data = 1; }
  message PluginData { string plugin_name = 1; bytes content = 2; }
  message HParamsPluginData {
    int32 version = 1; oneof data { Experiment experiment = 2; SessionStartInfo session_start_info = 3; }
  }
  message Experiment { repeated HParamInfo hparam_infos = 4; repeated MetricInfo metric_infos = 5; }
  message HParamInfo { string name = 1; int32 type = 4; }
  message MetricInfo { MetricName name = 1; }
  message MetricName { string group = 1; string tag = 2; }
  message SessionStartInfo { map<string, Any> hparams = 1; double start_time_secs = 5; }
  message Any { oneof kind { double number_value = 2; string string_value = 3; bool bool_value = 4; } }
`);
const decode = (name: string, bytes: Uint8Array) => {
  const type = root.lookupType(name);
  return type.toObject(type.decode(bytes), { longs: Number, arrays: true });
};

/** CRC-32C bit by bit, from its polynomial. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
const masked = (bytes: Uint8Array) => {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
};

/** The data of each record, as the format is published. @throws for a checksum that does not fit */
function records(file: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  for (let at = 0; at < file.length; ) {
    const length = Number(view.getBigUint64(at, true));
    const data = file.subarray(at + 12, at + 12 + length);
    if (view.getUint32(at + 8, true) !== masked(file.subarray(at, at + 8))) throw new Error('length');
    if (view.getUint32(at + 12 + length, true) !== masked(data)) throw new Error('data');
    found.push(data);
    at += length + 16;
  }
  return found;
}
const events = (file: Uint8Array) =>
  records(file).map((data) => decode('Event', data) as Record<string, never>);

describe('an event file', () => {
  test('has the checksums that its definition asks for', () => {
    // RFC 3720, B.4: CRC-32C of 32 zero bytes.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(maskedCrc(bytes)).toBe(masked(bytes));
        expect(records(encodeRecord(bytes))).toEqual([bytes]);
      }),
    );
  });

  test('begins with its version', () => {
    expect(events(encodeFileVersion(1.5))).toEqual([
      { wallTime: 1.5, step: 0, fileVersion: 'brain.Event:2' },
    ]);
  });

  test('brings scalars back by tag, in float32, and leaves out what is no number', () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.nat(),
        fc.dictionary(
          fc.string().filter((tag) => tag !== '__proto__'),
          fc.float(),
        ),
        (time, step, scalars) => {
          const [event] = events(encodeScalars(time, step, scalars)) as unknown as [
            { wallTime: number; step: number; summary: { value: { tag: string; simpleValue: number }[] } },
          ];
          expect(event.step).toBe(step);
          expect(event.wallTime).toBe(time);
          const read = event.summary.value.map(({ tag, simpleValue }) => [tag, simpleValue]);
          expect(read).toEqual(Object.entries(scalars).filter(([, value]) => Number.isFinite(value)));
        },
      ),
    );
  });

  test('says which hyperparameters and metrics there are, and those of the run', () => {
    const given = { epsilon: 0.1, relaxation: 'crown-ibp', 'clip-box': true };
    const found = events(encodeHyperparameters(7, given, ['loss'])) as unknown as {
      summary: {
        value: { tag: string; metadata: { pluginData: { pluginName: string; content: Uint8Array } } }[];
      };
    }[];
    const values = found.map(({ summary }) => summary.value[0]);
    expect(values.map((value) => value?.tag)).toEqual([
      '_hparams_/experiment',
      '_hparams_/session_start_info',
    ]);
    const [experiment, session] = values.map((value) => {
      expect(value?.metadata.pluginData.pluginName).toBe('hparams');
      return decode('HParamsPluginData', value?.metadata.pluginData.content as Uint8Array);
    });
    expect(experiment?.experiment).toEqual({
      hparamInfos: [
        { name: 'epsilon', type: 3 },
        { name: 'relaxation', type: 1 },
        { name: 'clip-box', type: 2 },
      ],
      metricInfos: [{ name: { tag: 'loss' } }],
    });
    expect(session?.sessionStartInfo).toEqual({
      hparams: {
        epsilon: { numberValue: 0.1 },
        relaxation: { stringValue: 'crown-ibp' },
        'clip-box': { boolValue: true },
      },
      startTimeSecs: 7,
    });
  });
});
