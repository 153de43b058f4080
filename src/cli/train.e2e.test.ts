import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Ended,
  resultOf,
  SHORT_TRAINING,
  tautnet,
  timelessMetrics,
} from '../testing/tautnet-process.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-train-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const train = (run: string, ...flags: string[]): Promise<Ended> =>
  tautnet([...SHORT_TRAINING, ...flags, '--out', join(folder, run)]);

/** Trains once for each set of flags and returns what came of it. */
async function results(name: string, ...variants: readonly (readonly string[])[]) {
  const outcomes: Awaited<ReturnType<typeof resultOf>>[] = [];
  for (const [i, flags] of variants.entries()) {
    const run = `${name}-${i}`;
    const { code, stderr } = await train(run, ...flags);
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining(`prove it with \`tautnet certify ${join(folder, run)}\``),
    ]);
    outcomes.push(await resultOf(join(folder, run)));
  }
  return outcomes;
}

describe('tautnet train', () => {
  test('leaves a run folder with settings, metrics, checkpoints, the network, its parameters and a summary', async () => {
    const { code, stdout, stderr } = await tautnet([
      ...[
        'train',
        '--train-limit',
        '600',
        '--epochs',
        '2',
        '--batch-size',
        '100',
        '--architecture',
        'fc-small',
        '--validation',
        '100',
      ],
      ...['--out', join(folder, 'whole')],
    ]);
    expect([code, stdout]).toEqual([0, `${join(folder, 'whole')}\n`]);
    expect(stderr).toMatch(/^settings: dataset mnist, train-limit 600, /);
    expect(stderr).toContain('89610 parameters, 500 training images\n');
    expect(stderr).toMatch(/^epoch 1\/2, .*\nepoch 2\/2, /m);
    const files = ['config.yaml', 'metrics.jsonl', 'network.onnx', 'parameters.safetensors', 'summary.md'];
    const checkpoints = ['last', 'previous', 'best'].map((name) =>
      join('checkpoints', `${name}.safetensors`),
    );
    for (const name of [...files, ...checkpoints])
      expect([name, existsSync(join(folder, 'whole', name))]).toEqual([name, true]);
    for (const name of ['lock', 'holder.json'])
      expect([name, existsSync(join(folder, 'whole', name))]).toEqual([name, false]);
    expect(await timelessMetrics(join(folder, 'whole'))).toEqual([
      expect.objectContaining({
        step: 5,
        epoch: 1,
        epsilon: expect.any(Number),
        loss: expect.any(Number),
        validationCertifiedAccuracy: expect.any(Number),
      }),
      expect.objectContaining({ step: 10, epoch: 2, epsilon: 0.1, certifiedAccuracy: expect.any(Number) }),
    ]);
    expect(await readFile(join(folder, 'whole', 'config.yaml'), 'utf8')).toMatch(
      /^tautnet:\n {2}format: 2\n/,
    );
  });

  test('a run is repeated from its own config.yaml, bit for bit; another seed gives another', async () => {
    const [first, other] = await results('seed', ['--seed', '3'], ['--seed', '4']);
    const { code } = await tautnet([
      'train',
      '--config',
      join(folder, 'seed-0', 'config.yaml'),
      '--out',
      join(folder, 'repeated'),
    ]);
    expect(code).toBe(0);
    expect(await resultOf(join(folder, 'repeated'))).toEqual(first);
    expect(other?.parameters).not.toBe(first?.parameters);
    expect(other?.metrics).not.toEqual(first?.metrics);
  });

  /** Every smoothing, relaxation and update rule at least once. */
  const pairings: readonly (readonly string[])[] = [
    ['none', 'ibp', 'adam'],
    ['none', 'none', 'sgd'],
    ['rgs', 'crown-ibp', 'sgd', '--samples', '3'],
    ['rgs', 'crown', 'adam', '--samples', '1'],
    [
      'pgpe',
      'ibp',
      'clipup',
      '--samples',
      '3',
      '--sigma-learning-rate',
      '0.1',
      '--sigma-mode',
      'layer',
      '--shaping',
      'centered-rank',
    ],
    ['pgpe', 'crown', 'adam', '--samples', '2'],
  ];
  test.each(pairings)(
    '%s + %s + %s: one seed has one result, whatever the number of threads',
    async (smoothing, relaxation, optimizer, ...more) => {
      const flags = [
        '--smoothing',
        smoothing as string,
        '--relaxation',
        relaxation as string,
        '--optimizer',
        optimizer as string,
        '--micro-batch',
        '50',
      ];
      const [one, two] = await results(
        `${smoothing}-${relaxation}`,
        [...flags, ...more, '--threads', '1'],
        [...flags, ...more, '--threads', '2'],
      );
      expect(two).toEqual(one);
    },
  );
});
