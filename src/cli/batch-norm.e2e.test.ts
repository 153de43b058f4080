import { mkdtemp, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { trainedNetwork } from '../experiment/trained-network.js';
import { batchNormNodes } from '../network/folding.js';
import { importOnnx } from '../network/onnx/import.js';
import {
  failureOf,
  fileOf,
  resultOf,
  startTautnet,
  tautnet,
  timelessMetrics,
} from '../testing/tautnet-process.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-batch-norm-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const argv = (run: string, ...flags: string[]): string[] => [
  ...[
    'train',
    '--architecture',
    'cnn3-bn',
    '--train-limit',
    '500',
    '--batch-size',
    '100',
    '--epochs',
    '2',
    '--micro-batch',
    '50',
  ],
  ...[...flags, '--out', join(folder, run)],
];
async function train(run: string, ...flags: string[]): Promise<string> {
  const { code, stderr } = await tautnet(argv(run, ...flags));
  expect([code, stderr]).toEqual([0, expect.stringContaining('prove it with')]);
  return join(folder, run);
}

describe('a network with batch normalisation', () => {
  test('trains, is exported without it, and certified as well as its validation images say', async () => {
    const run = await train(
      'whole',
      '--validation',
      '100',
      '--epsilon',
      '0.02',
      '--epochs',
      '6',
      '--learning-rate',
      '0.005',
    );
    const metrics = await timelessMetrics(run);
    const last = metrics.at(-1) as Record<string, number>;
    expect(last.validationNaturalAccuracy).toBeGreaterThan(0.5);
    expect(last.validationCertifiedAccuracy).toBeGreaterThan(0.2);

    const { network, parameters } = await trainedNetwork(run);
    expect(batchNormNodes(network)).toEqual([]);
    const exported = importOnnx(await readFile(join(run, 'network.onnx')), 'exported');
    const values = (arrays: Readonly<Record<string, Float32Array>>) =>
      Object.values(arrays).map((array) => [...array]);
    expect(
      exported.network.nodes
        .map(({ layer }) => layer.name)
        .filter((name) => name !== 'normalize' && name !== 'scale'),
    ).toEqual(network.nodes.map(({ layer }) => layer.name).filter((name) => name !== 'normalize'));
    expect(values(exported.parameters).slice(-6)).toEqual(values(parameters));

    const { code, stdout, stderr } = await tautnet(['certify', run, '--limit', '50', '--json']);
    expect([code, stderr]).toEqual([0, expect.stringContaining('verdicts in')]);
    const report = JSON.parse(stdout) as { natural: number; certified: number };
    expect(Math.abs(report.natural - (last.validationNaturalAccuracy as number))).toBeLessThan(0.3);
    expect(report.certified).toBeGreaterThan(0);
  });

  test.each([
    ['none', 'crown-ibp'],
    ['rgs', 'crown'],
    ['pgpe', 'ibp'],
  ])('%s + %s: one seed has one result, whatever the number of threads', async (smoothing, relaxation) => {
    const samples = smoothing === 'none' ? [] : ['--samples', '2'];
    const flags = [
      '--smoothing',
      smoothing,
      '--relaxation',
      relaxation,
      ...samples,
      '--train-limit',
      '40',
      '--batch-size',
      '20',
      '--micro-batch',
      '10',
    ];
    const of = (threads: string) =>
      train(`${smoothing}-${relaxation}-${threads}`, ...flags, '--epochs', '1', '--threads', threads);
    const [one, two] = [await of('1'), await of('2')];
    expect(await resultOf(two)).toEqual(await resultOf(one));
  });

  test('goes on bit for bit after it was killed', async () => {
    const statistics = ['--batch-statistics', 'micro-batch'];
    const flags = ['--validation', '50', '--checkpoint-seconds', '0.02', ...statistics];
    const whole = await train('unbroken', ...flags);
    const started = startTautnet(argv('killed', ...flags));
    const checkpoint = join(folder, 'killed', 'checkpoints', 'last.safetensors');
    await fileOf(started, checkpoint);
    started.child.kill('SIGKILL');
    expect(await started.ended).toMatchObject({ code: null });
    const past = new Date(Date.now() - 60_000);
    await utimes(join(folder, 'killed', 'lock'), past, past);
    const other = await tautnet(['train', '--resume', join(folder, 'killed'), '--micro-batch', '25']);
    expect([other.code, failureOf(other)]).toEqual([
      2,
      expect.stringContaining('--micro-batch: expected 50 as when the run was created, got 25'),
    ]);
    expect(await tautnet(['train', '--resume', join(folder, 'killed')])).toMatchObject({ code: 0 });
    expect(await resultOf(join(folder, 'killed'))).toEqual(await resultOf(whole));
  });

  test.each([
    ['batch', 'expected at least 2 images in each batch'],
    ['micro-batch', 'expected at least 2 images in each micro-batch'],
  ])('refuses a %s of one image, which has no deviation', async (statistics, line) => {
    const flags = ['--train-limit', '401', '--batch-statistics', statistics];
    const ended = await tautnet(argv(`single-${statistics}`, ...flags));
    expect([ended.code, failureOf(ended)]).toEqual([2, expect.stringContaining(line)]);
  });
});
