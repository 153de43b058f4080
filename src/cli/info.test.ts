import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCheckpoint } from '../experiment/run/checkpoint.js';
import { createRun, RUN_FORMAT } from '../experiment/run/run-folder.js';
import { resolveSettings } from '../experiment/settings/resolve-settings.js';
import { encodeFileVersion, encodeScalars } from '../formats/event-file.js';
import { architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { exportOnnx } from '../network/onnx/export.js';
import { encodeParameters } from '../network/parameters.js';
import { keyOf } from '../runtime/random/keys.js';
import { recordedIo } from '../testing/io.js';
import { encodeCertificate } from '../verification/certificate/format.js';
import { COMMANDS } from './commands.js';
import { run } from './program.js';

async function tautnet(...argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo();
  const code = await run(argv, COMMANDS, io);
  return { code, stdout: stdout(), stderr: stderr() };
}

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-info-'));
  const network = architecture('fc-small', [1, 2, 2], 3);
  const parameters = initialize(network, 'kaiming', keyOf(0));
  const onnx = exportOnnx(network, parameters, { dataset: 'mnist', epsilon: 0.1 });
  const sealed = { model: 'a', proofs: [{ of: [0, 3], bounds: 'ibp', tree: 0 }] } as const;
  const verdict = { image: 0, label: 1, verdict: 'certified', stage: 'ibp', margin: 1 };
  const files = {
    'net.onnx': onnx,
    'net.onnx.gz': gzipSync(onnx),
    'p.vnnlib':
      '; one\n(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= Y_0 2))\n',
    'q.vnnlib':
      '(vnnlib-version <2.0>)(declare-network f (declare-input X real [2])(declare-output Y real []))' +
      '(declare-network g (equal-to f) (declare-input U real [2])(declare-output V real []))' +
      '(assert (and (<= 0 X[0]) (<= X[0] 1) (== X[0] X[1]) (== X[0] U[0]) (== U[1] Y)))(assert (<= V 0))',
    'parameters.safetensors': encodeParameters(network, parameters),
    'last.safetensors': encodeCheckpoint({ training: { step: 3, theta: Float32Array.of(1, 2) } }),
    'certificate.jsonl': `${JSON.stringify(verdict)}\n`,
    'metrics.jsonl': '{"step":4,"epoch":1,"loss":0.5}\n{"step":5,"ep',
    'answer.txt': 'unsat\n',
    'images.gz': encodeCertificate({ ...sealed, claim: { images: 'b', epsilon: 0.1, clip: true } }),
    'property.gz': encodeCertificate({ ...sealed, claim: { property: 'c' } }),
    'changed.gz': gzipSync('{"certificate":1}\n0123\n'),
    events: Buffer.concat([encodeFileVersion(0), encodeScalars(0, 1, { loss: 1 }), Buffer.from('torn')]),
    'cut.onnx': onnx.subarray(0, 100),
    'torn.jsonl': '{"image":0,"label":1,"verdict":"cert',
    'noise.bin': Uint8Array.of(200, 1, 2, 3, 0, 9, 9, 9, 9, 9),
    'other.txt': 'hello',
  };
  for (const [name, content] of Object.entries(files)) await writeFile(at(name), content);
  await mkdir(at('plain'));
  const opened = await createRun(at('run'), resolveSettings({ out: at('run') }));
  await opened.release();
});
afterAll(() => rm(folder, { recursive: true }));

describe('tautnet info', () => {
  test.each([
    ['net.onnx', ['ONNX network', '1 × 2 × 2', 'every output, by ibp', 'next: tautnet verify']],
    ['net.onnx.gz', ['ONNX network', '1 × 2 × 2']],
    ['p.vnnlib', ['VNN-LIB property', 'input boxes', 'next: tautnet verify <network.onnx>']],
    [
      'q.vnnlib',
      [
        'VNN-LIB 2.0 query',
        'input X [2], output Y []',
        'network g',
        /free inputs +1/,
        '--network f=<model.onnx>\n',
      ],
    ],
    ['parameters.safetensors', ['tensors (safetensors)', 'float32 [100, 4]']],
    ['last.safetensors', ['checkpoint of a run', 'tautnet train --resume']],
    ['certificate.jsonl', ['verdicts on images', 'certified 100.00 %']],
    ['metrics.jsonl', ['metrics of a run', 'step, epoch, loss']],
    ['answer.txt', ['result of verify', 'unsat']],
    ['images.gz', ['certificate of images', /images proved +2/, 'cut to [0, 1]', 'next: tautnet check']],
    ['property.gz', ['certificate of a property', '<network.onnx> <property.vnnlib>']],
    ['events', ['TensorBoard events', /records +2/]],
    ['run/config.yaml', ['settings of a run', /architecture +cnn3/, 'next: tautnet train --config']],
    ['run', ['unfinished run', 'cnn3 on mnist', 'next: tautnet train --resume']],
    ['.', ['folder of runs', 'next: tautnet compare']],
    ['cut.onnx', ['ONNX network', 'nothing: expected']],
  ])('tells %s', async (name, parts) => {
    const { code, stdout } = await tautnet('info', at(name));
    expect(code).toBe(0);
    for (const part of parts)
      expect(stdout).toEqual(
        part instanceof RegExp ? expect.stringMatching(part) : expect.stringContaining(part),
      );
    const { stdout: json } = await tautnet('info', at(name), '--json');
    expect(JSON.parse(json)).toMatchObject({ path: at(name), kind: expect.any(String) });
  });

  test.each([
    ['nowhere', 2, 'nowhere: no such file or folder; check the path'],
    ['plain', 2, 'got a folder without runs'],
    ['noise.bin', 2, 'got something else; check the path'],
    ['other.txt', 2, 'got something else; check the path'],
    ['changed.gz', 1, 'expected a certificate and its SHA-256, got other bytes'],
    ['torn.jsonl', 1, 'line 1: expected a verdict on an image'],
  ])('refuses %s in one line', async (name, exitCode, line) => {
    const { code, stdout, stderr } = await tautnet('info', at(name));
    expect([code, stdout]).toEqual([exitCode, '']);
    expect(stderr).toContain(line);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('tautnet export-metrics, compare and report', () => {
  test.each([
    [['export-metrics', 'plain'], 'expected the folder of a run, or one with runs, it has no run'],
    [['export-metrics', 'run', '--out', 'a.xls'], '--out: expected a name that ends in .csv or .parquet'],
    [['compare', 'plain'], 'expected the folder of a run, or one with runs, it has no run'],
    [['compare', 'run', '--out', 'a.svg'], '--out: expected a run with verdicts, got none of 1'],
    [['compare', 'run', '--published', 'other.txt'], 'line 1: expected label,natural,certified'],
    [['report', 'plain'], 'expected the folder of a run, it has no config.yaml'],
  ])('%j is refused in one line', async (argv, line) => {
    const [command = '', name = '', ...rest] = argv;
    const files = rest.map((word) => (/\./.test(word) ? at(word) : word));
    const { code, stderr } = await tautnet(command, at(name), ...files);
    expect(code).toBe(2);
    expect(stderr).toContain(line);
  });

  test('a run of another version is refused with what to do, by each of them', async () => {
    await mkdir(at('newer'));
    await writeFile(at('newer/config.yaml'), 'tautnet: {format: 99, version: 9.9.9}\n');
    for (const command of ['report', 'compare', 'export-metrics', 'info', 'landscape']) {
      const { code, stderr } = await tautnet(command, at('newer'));
      expect([code, stderr]).toEqual([
        1,
        expect.stringContaining(`expected run format ${RUN_FORMAT}, got 99`),
      ]);
    }
    await rm(at('newer'), { recursive: true });
  });

  test('metrics go to stdout as CSV, or into a file', async () => {
    await writeFile(at('run/metrics.jsonl'), '{"step":4,"epoch":1,"loss":0.5}\n{"step":5,"ep');
    expect((await tautnet('export-metrics', at('run'))).stdout).toBe(
      `run,step,epoch,loss\n${at('run')},4,1,0.5\n`,
    );
    const { stderr } = await tautnet('export-metrics', at('run'), '--out', at('m.parquet'));
    expect(stderr).toBe('1 records of 1 run\n');
  });
});
