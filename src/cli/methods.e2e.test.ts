import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeCheckpoint } from '../experiment/run/checkpoint.js';
import { loadBest, loadLast } from '../experiment/run/checkpoint-folder.js';
import { METHODS } from '../experiment/settings/choices.js';
import { decodeSafetensors, type SafetensorsArray } from '../formats/safetensors.js';
import {
  failureOf,
  fileOf,
  resultOf,
  startTautnet,
  tautnet,
  timelessMetrics,
} from '../testing/tautnet-process.js';
import type { TrainingState } from '../training/loop.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-methods-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const SMALL = ['--architecture', 'fc-small', '--attack-steps', '3'];
const argv = (run: string, ...flags: string[]): string[] => ['train', ...flags, '--out', join(folder, run)];
async function train(run: string, ...flags: string[]): Promise<string> {
  const { code, stderr } = await tautnet(argv(run, ...flags));
  expect([code, stderr]).toEqual([0, expect.stringContaining('prove it with')]);
  return join(folder, run);
}

/** All exported parameters, one after another. */
async function exported(run: string): Promise<number[]> {
  const { tensors } = decodeSafetensors(await readFile(join(run, 'parameters.safetensors')), run);
  const names = Object.keys(tensors).sort(
    (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || b.localeCompare(a),
  );
  return names.flatMap((name) => [...((tensors[name] as SafetensorsArray).data as Float32Array)]);
}
const savedTheta = (value: unknown): Float32Array => (value as { training: TrainingState }).training.theta;

describe('tautnet train --method', () => {
  test.each(METHODS)('%s trains two epochs of 500 images and says how it does', async (method) => {
    const attacked = method === 'natural' || method === 'certified' ? [] : ['--attack-steps', '4'];
    const run = await train(
      method,
      '--method',
      method,
      '--architecture',
      'fc-small',
      '--train-limit',
      '500',
      '--validation',
      '100',
      '--batch-size',
      '100',
      '--epochs',
      '2',
      ...attacked,
    );
    const metrics = await timelessMetrics(run);
    expect(metrics.map(({ step }) => step)).toEqual([4, 8]);
    const bounded = method !== 'natural' && method !== 'pgd';
    const wanted = [
      'loss',
      'naturalAccuracy',
      'validationNaturalAccuracy',
      'validationLoss',
      ...(bounded ? ['validationCertifiedAccuracy'] : []),
    ];
    for (const name of [
      ...wanted,
      ...(method === 'pgd' || method.endsWith('-ibp')
        ? ['adversarialAccuracy', 'validationAdversarialAccuracy']
        : []),
    ])
      expect(metrics[1]).toHaveProperty(name, expect.any(Number));
  });

  test.each([
    ['sabr', 'rgs', '--relaxation', 'crown-ibp'],
    ['pgd', 'pgpe'],
    ['taps', 'pgpe'],
    ['exp-ibp', 'rgs'],
  ])(
    '%s with %s: one seed has one result, whatever the number of threads',
    async (method, smoothing, ...more) => {
      const flags = [
        ...SMALL,
        '--method',
        method,
        '--smoothing',
        smoothing,
        '--samples',
        '2',
        '--train-limit',
        '100',
        '--batch-size',
        '50',
      ];
      const of = (threads: string) =>
        train(
          `${method}-${smoothing}-${threads}`,
          ...flags,
          ...more,
          '--epochs',
          '1',
          '--micro-batch',
          '25',
          '--threads',
          threads,
        );
      const [one, two] = [await of('1'), await of('2')];
      expect(await resultOf(two)).toEqual(await resultOf(one));
    },
  );

  test('a block that does not fit is refused before any work', async () => {
    const ended = await tautnet(argv('refused', '--method', 'taps', '--taps-block', '2'));
    expect([ended.code, failureOf(ended)]).toEqual([
      2,
      expect.stringContaining('--taps-block: expected at most 1'),
    ]);
  });
});

describe('what tautnet train exports', () => {
  const short = [
    '--architecture',
    'fc-small',
    '--method',
    'natural',
    '--train-limit',
    '300',
    '--batch-size',
    '20',
    '--seed',
    '1',
  ];

  test('is the network that did best on the validation images, or the last one when asked', async () => {
    // So large a step makes the network worse from epoch to epoch.
    const worse = [
      ...short,
      '--validation',
      '100',
      '--epochs',
      '3',
      '--learning-rate',
      '0.1',
      '--learning-rate-decay-epochs',
      'none',
    ];
    const run = await train('best', ...worse);
    const accuracies = (await timelessMetrics(run)).map(
      ({ validationNaturalAccuracy }) => validationNaturalAccuracy as number,
    );
    const best = (await loadBest(join(run, 'checkpoints'))) as unknown as {
      step: number;
      theta: Float32Array;
    };
    expect(best.step).toBe(10 * (1 + accuracies.indexOf(Math.max(...accuracies))));
    expect(best.step).toBeLessThan(30);
    expect(await exported(run)).toEqual([...best.theta]);
    const last = await train('last', ...worse, '--select', 'last');
    expect(await exported(last)).toEqual([...savedTheta((await loadLast(join(last, 'checkpoints')))?.value)]);
  });

  test('is the average of the networks at the ends of epochs from swa-start on, also when the run was interrupted', async () => {
    const averaged = [...short, '--epochs', '3', '--swa-start', '2'];
    const run = await train('swa', ...averaged);
    const checkpoint = async (name: string) =>
      decodeCheckpoint(await readFile(join(run, 'checkpoints', `${name}.safetensors`)));
    const [second, third] = [savedTheta(await checkpoint('previous')), savedTheta(await checkpoint('last'))];
    expect(await exported(run)).toEqual(
      [...third].map((v, i) => Math.fround(((second[i] as number) + v) / 2)),
    );

    const started = startTautnet(argv('swa-interrupted', ...averaged));
    await fileOf(started, join(folder, 'swa-interrupted', 'checkpoints', 'last.safetensors'));
    started.child.kill('SIGINT');
    await started.ended;
    await tautnet(['train', '--resume', join(folder, 'swa-interrupted')]);
    expect(await resultOf(join(folder, 'swa-interrupted'))).toEqual(await resultOf(run));
  });
});
