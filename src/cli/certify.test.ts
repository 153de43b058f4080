import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { datasetNamed } from '../data/datasets.js';
import { networkOf } from '../experiment/prepare-training.js';
import { saveLast } from '../experiment/run/checkpoint-folder.js';
import { createRun } from '../experiment/run/run-folder.js';
import { resolveSettings } from '../experiment/settings/resolve-settings.js';
import { decodeSafetensors } from '../formats/safetensors.js';
import { architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { exportOnnx } from '../network/onnx/export.js';
import { encodeParameters } from '../network/parameters.js';
import { keyOf } from '../runtime/random/keys.js';
import { recordedIo, recordedOutput } from '../testing/io.js';
import { makeCertifyCommand } from './certify.js';
import { run } from './program.js';
import { certificationProgress } from './progress/certification.js';

const LIMIT = 40;
let folder: string;
let finished: string;
let model: string;

async function certify(argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo();
  const code = await run(['certify', ...argv], [makeCertifyCommand], io);
  return { code, stdout: stdout(), stderr: stderr() };
}

/** A run folder with settings of a small network, unfinished. */
async function newRun(name: string): Promise<string> {
  const path = join(folder, name);
  const run = await createRun(path, resolveSettings({ architecture: 'fc-small', epsilon: 0.002, out: path }));
  await run.release();
  return path;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-certify-'));
  finished = await newRun('finished');
  const network = networkOf({ architecture: 'fc-small', normalize: true }, datasetNamed('mnist'));
  const parameters = initialize(network, 'kaiming', keyOf(1));
  await writeFile(join(finished, 'parameters.safetensors'), encodeParameters(network, parameters));
  model = join(folder, 'model.onnx');
  await writeFile(model, exportOnnx(network, parameters));
  await writeFile(join(finished, 'network.onnx'), exportOnnx(network, parameters));
});
afterAll(() => rm(folder, { recursive: true }));

describe('tautnet certify', () => {
  test('proves with one relaxation alone where it is named, and says which there are', async () => {
    const of = async (...more: string[]) => {
      const found = await certify([finished, '--limit', '12', '--json', '--threads', '1', ...more]);
      return found.code === 0 ? JSON.parse(found.stdout) : found;
    };
    const cascade = await of();
    for (const name of ['hbox', 'deepz', 'nested-crown-ibp', 'crown-all', 'deeppoly']) {
      const alone = await of('--relaxation', name);
      expect(Object.keys(alone.stages)).toEqual(['natural', name, 'attack']);
      expect(alone.natural).toBe(cascade.natural);
      expect(alone.certified).toBeLessThanOrEqual(alone.adversarial);
    }
    const { certified } = await of('--relaxation', 'deeppoly');
    expect(certified).toBeGreaterThanOrEqual((await of('--relaxation', 'ibp')).certified);
    const wrong = await of('--relaxation', 'lp');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(
      /^tautnet: --relaxation: expected one of ibp, .*, got "lp"; check the name\n$/,
    );
  });

  test('with --sound proves of the file with rounding errors taken off, and says so wherever verdicts are', async () => {
    const out = join(folder, 'sound.jsonl');
    const flags = ['--limit', '12', '--threads', '1', '--out', out, '--sound'];
    const { code, stdout } = await certify([finished, ...flags, '--json', '--complete', '--timeout', '5']);
    expect(code).toBe(0);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ sound: true, images: 12 });
    const lines = (await readFile(out, 'utf8')).trim().split('\n');
    const certified = lines.map((line) => JSON.parse(line)).filter(({ verdict }) => verdict === 'certified');
    expect(certified.length).toBeGreaterThan(0);
    expect(certified.length).toBe(Math.round(12 * found.certified));
    for (const line of certified) expect(line.sound).toBe(true);
    expect((await certify([finished, ...flags])).stdout).toContain('12 test images, sound proofs\n');
    const wrong = await certify([finished, ...flags, '--relaxation', 'deeppoly']);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      'tautnet: --relaxation: expected one of ibp, crown-ibp, crown with --sound, got deeppoly; leave one out\n',
    ]);
  });

  test('prints one JSON object on stdout and keeps the verdicts and counterexamples in the run', async () => {
    const { code, stdout, stderr } = await certify([
      finished,
      '--limit',
      String(LIMIT),
      '--json',
      '--threads',
      '1',
    ]);
    expect([code, stdout.split('\n')]).toEqual([0, [expect.any(String), '']]);
    const result = JSON.parse(stdout) as Record<string, number>;
    expect(Object.keys(result).sort()).toEqual([
      'adversarial',
      'certified',
      'epsilon',
      'images',
      'natural',
      'seconds',
      'stages',
    ]);
    expect(result).toMatchObject({ epsilon: 0.002, images: LIMIT });
    expect(stderr).toContain('natural: 40/40 images');

    const lines = (await readFile(join(finished, 'certificate.jsonl'), 'utf8')).trim().split('\n');
    const verdicts = lines.map(
      (line) =>
        JSON.parse(line) as { image: number; label: number; verdict: string; counterexample?: number },
    );
    const part = (kind: string) => verdicts.filter(({ verdict }) => verdict === kind).length / LIMIT;
    expect(verdicts).toHaveLength(LIMIT);
    expect(result.certified).toBe(part('certified'));
    expect(result.adversarial).toBeCloseTo(1 - part('falsified'), 12);
    expect(part('falsified')).toBeGreaterThan(0);
    // The first three test images of MNIST are 7, 2 and 1.
    expect(verdicts.slice(0, 3).map(({ label }) => label)).toEqual([7, 2, 1]);
    const { tensors, metadata } = decodeSafetensors(
      await readFile(join(finished, 'counterexamples.safetensors')),
    );
    expect(tensors.counterexamples?.shape).toEqual([
      verdicts.filter(({ counterexample }) => counterexample !== undefined).length,
      784,
    ]);
    expect(metadata).toMatchObject({ dataset: 'mnist', epsilon: '0.002' });
  });

  test('an ONNX file of the same network gives the same accuracies, and the table names them all', async () => {
    const verdicts = join(folder, 'out.jsonl');
    const common = ['--limit', String(LIMIT), '--threads', '1'];
    const byRun = JSON.parse((await certify([finished, ...common, '--json'])).stdout) as Record<
      string,
      number
    >;
    const { code, stdout } = await certify([
      model,
      ...common,
      '--dataset',
      'mnist',
      '--epsilon',
      '1/500',
      '--verdicts',
      verdicts,
      '--junit',
      join(folder, 'out.xml'),
    ]);
    expect(code).toBe(0);
    for (const name of ['natural', 'certified', 'adversarial'])
      expect(stdout).toMatch(new RegExp(`^${name} +${(100 * (byRun[name] as number)).toFixed(2)} %`, 'm'));
    for (const stage of ['natural', 'ibp', 'crown-ibp', 'crown', 'attack'])
      expect(stdout).toMatch(new RegExp(`^${stage} +\\d+ +\\d+ +\\d+ +[\\d.]+ s$`, 'm'));
    const report = await readFile(join(folder, 'out.xml'), 'utf8');
    const falsified = (await readFile(verdicts, 'utf8')).split('"falsified"').length - 1;
    expect(report).toContain(`tests="${LIMIT}" failures="${falsified}"`);
    expect((await readFile(verdicts, 'utf8')).split('\n')).toHaveLength(LIMIT + 1);
    expect((await readFile(join(folder, 'out.counterexamples.safetensors'))).length).toBeGreaterThan(0);
  });

  test('two ranges of images put together are the whole, each with its own files beside the run', async () => {
    const accuracies = async (...flags: string[]) =>
      JSON.parse((await certify([finished, '--json', '--quiet', ...flags])).stdout) as Record<string, number>;
    const whole = await accuracies('--limit', '40');
    const lines = async (name: string) =>
      (await readFile(join(finished, name), 'utf8')).split('\n').slice(0, -1);
    const all = await lines('certificate.jsonl');
    const parts = [await accuracies('--images', ':15'), await accuracies('--images', '15:40')];
    const both = [
      ...(await lines('images-0-15.certificate.jsonl')),
      ...(await lines('images-15-40.certificate.jsonl')),
    ].map((line) => JSON.parse(line) as { image: number; verdict: string });
    expect(both.map(({ image }) => image)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    const verdictOf = ({ image, verdict }: { image: number; verdict: string }) => `${image} ${verdict}`;
    expect(both.map(verdictOf)).toEqual(all.map((line) => verdictOf(JSON.parse(line))));
    for (const name of ['natural', 'certified', 'adversarial'])
      expect(15 * (parts[0]?.[name] as number) + 25 * (parts[1]?.[name] as number)).toBeCloseTo(
        40 * (whole[name] as number),
        9,
      );
    const { stdout, stderr } = await certify([finished, '--images', '9990:10050', '--quiet']);
    expect([stderr, stdout]).toEqual(['', expect.stringContaining(', images 9990 to 9999, ε')]);
  });

  test.each([
    [['--epsilon', '2'], '--epsilon: expected a number in (0, 1], got 2'],
    [['--epsilon', '0'], '--epsilon: expected a number in (0, 1], got 0'],
    [['--limit', '0'], '--limit: expected a whole number of at least 1, got "0"'],
    [['--limit', '1e3'], '--limit: expected a whole number of at least 1, got "1e3"'],
    [
      ['--images', '5'],
      '--images: expected start:end, the images start, …, end − 1 such as 100:200, got "5"',
    ],
    [['--images', '7:7'], '--images: expected start:end'],
    [['--images', ':'], '--images: expected start:end'],
    [['--images=-3:7'], '--images: expected start:end'],
    [['--images', '10000:'], '--images: expected a start below 10000, the number of test images of mnist'],
    [['--images', '0:5', '--limit', '5'], '--images: expected no --limit beside it'],
    [['--attack-steps', '-1'], '--attack-steps: expected a whole number of at least 1, got "-1"'],
    [['--attack-restarts', 'many'], '--attack-restarts: expected a whole number of at least 1'],
    [
      ['--dataset', 'mnsit'],
      '--dataset: expected one of mnist, fashion-mnist, cifar10, svhn, tiny-imagenet, got "mnsit"; did you mean mnist?',
    ],
    [['--threads', '0'], '--threads: expected a whole number from 1'],
    [
      ['--device', 'webgpi'],
      '--device: expected one of auto, cpu, webgpu, cuda, got "webgpi"; did you mean webgpu?',
    ],
    [
      ['--out', '/nonexistent/v.jsonl'],
      '--out: expected a file in a folder that exists, got /nonexistent/v.jsonl',
    ],
  ])('%j ends with code 2 and one line that names the flag', async (flags, line) => {
    const { code, stdout, stderr } = await certify([finished, ...flags]);
    expect(stderr).toContain(`tautnet: ${line}`);
    expect([code, stdout, stderr.trimEnd().split('\n').length]).toEqual([2, '', 1]);
  });

  test('what is no trained network of the data set is refused in one line, with code 2', async () => {
    const other = join(folder, 'other.onnx');
    const small = architecture('fc-small', [3, 32, 32], 10);
    await writeFile(other, exportOnnx(small, initialize(small, 'kaiming', keyOf(1))));
    const fewer = join(folder, 'fewer.onnx');
    const binary = architecture('fc-small', [1, 28, 28], 2);
    await writeFile(
      fewer,
      exportOnnx(binary, initialize(binary, 'kaiming', keyOf(1)), { dataset: 'mnist', epsilon: 0.1 }),
    );
    const cases: [string, string[], string][] = [
      [join(folder, 'nothing'), [], 'there is nothing; check the path'],
      [join(finished, 'config.yaml'), [], 'expected an ONNX model'],
      [folder, [], 'it has no config.yaml'],
      [model, ['--dataset', 'mnist'], '--epsilon: expected a value, got none'],
      [
        other,
        ['--dataset', 'mnist', '--epsilon', '0.1'],
        'expected a network on 1×28×28 images as mnist has them, got 3×32×32',
      ],
      [fewer, [], 'expected 10 logits, one for each class of mnist, got 2'],
      [
        model,
        ['--dataset', 'mnist', '--epsilon', '0.1', '--verdicts', model],
        'expected another file than those that are read',
      ],
      [
        finished,
        ['--out', join(finished, 'parameters.safetensors')],
        '--out: expected another file than those that are read',
      ],
    ];
    for (const [path, flags, line] of cases) {
      const { code, stdout, stderr } = await certify([path, ...flags]);
      expect(stderr).toContain(line);
      expect([code, stdout, stderr.trimEnd().split('\n').length]).toEqual([2, '', 1]);
    }
  });

  test('an unfinished run is refused with where it stands and how to finish it, with code 1', async () => {
    const path = await newRun('unfinished');
    expect(await certify([path])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('has no whole checkpoint yet'),
    });
    await mkdir(join(path, 'checkpoints'), { recursive: true });
    await saveLast(join(path, 'checkpoints'), { step: 3 });
    const { code, stderr } = await certify([path]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `tautnet: ${path}: expected a finished run, it is unfinished, its last checkpoint is ${path}/checkpoints/last.safetensors; finish it with \`tautnet train --resume ${path}\`\n`,
    );
  });

  test('parameters of a run that diverged are refused with code 1, damaged ones with code 2 and what to do', async () => {
    const path = await newRun('diverged');
    const network = networkOf({ architecture: 'fc-small', normalize: true }, datasetNamed('mnist'));
    const parameters = initialize(network, 'kaiming', keyOf(1));
    (parameters['2.weight'] ?? (Object.values(parameters)[0] as Float32Array))[0] = Number.NaN;
    const bytes = encodeParameters(network, parameters);
    await writeFile(join(path, 'parameters.safetensors'), bytes);
    expect(await certify([path])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('expected finite parameters'),
    });
    await writeFile(join(path, 'parameters.safetensors'), bytes.subarray(0, 1000));
    const { code, stderr } = await certify([path]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(
        /parameters\.safetensors: .*; it is damaged, take .*network\.onnx or train again\n$/,
      ),
    ]);
  });
});

describe('progress of a certification', () => {
  const states = [
    { stage: 'natural', done: 256, total: 300, certified: 0, falsified: 3 },
    { stage: 'natural', done: 300, total: 300, certified: 0, falsified: 4 },
    { stage: 'ibp', done: 200, total: 296, certified: 150, falsified: 4 },
  ] as const;

  test('is one plain line per stage, and more only when a stage takes long', () => {
    let time = 0;
    const { output, text } = recordedOutput();
    const shown = certificationProgress(output, { now: () => time, interval: 1000 });
    for (const state of states) shown.update(state);
    time = 1000;
    shown.update({ ...states[2], done: 250 });
    shown.update({ ...states[2], done: 296 });
    shown.stop();
    expect(text().trimEnd().split('\n')).toEqual([
      'natural: 300/300 images, 0 certified, 4 misclassified so far',
      'ibp: 250/296 images, 150 certified, 4 falsified so far',
      'ibp: 296/296 images, 150 certified, 4 falsified so far',
    ]);
  });

  test('names a stage that takes long before its first batch is done, once', () => {
    vi.useFakeTimers();
    try {
      const { output, text } = recordedOutput();
      const shown = certificationProgress(output, { interval: 1000 });
      shown.update({ ...states[2], stage: 'crown', done: 0 });
      expect(text()).toBe('');
      vi.advanceTimersByTime(5000);
      expect(text()).toBe('crown: 0/296 images, 150 certified, 4 falsified so far\n');
      shown.stop();
      expect(text().trimEnd().split('\n')).toHaveLength(1);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test('is a bar on a terminal that ends with a newline', () => {
    const { output, text } = recordedOutput({ isTTY: true, columns: 100 });
    const terminal = Object.assign(output, {
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
    });
    const shown = certificationProgress(terminal);
    for (const state of states) shown.update(state);
    shown.stop();
    expect(text()).toContain('ibp: 200/296 images');
    expect(text().endsWith('\n')).toBe(true);
  });
});
