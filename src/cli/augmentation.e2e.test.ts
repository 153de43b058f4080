import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileOf, resultOf, SHORT_TRAINING, startTautnet, tautnet } from '../testing/tautnet-process.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-augmentation-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function trained(name: string, ...flags: string[]) {
  const run = join(folder, name);
  expect(await tautnet([...SHORT_TRAINING, ...flags, '--out', run])).toMatchObject({ code: 0 });
  return resultOf(run);
}

describe('training on augmented images', () => {
  test('has one result for one seed, whatever the number of threads, and another than without', async () => {
    const augmented = await trained('one', '--augmentation', 'flip-crop', '--threads', '1');
    expect(await trained('two', '--augmentation', 'flip-crop', '--threads', '2')).toEqual(augmented);
    const results = [
      augmented,
      await trained('plain'),
      await trained('flip', '--augmentation', 'flip'),
      await trained('crop', '--augmentation', 'crop'),
    ];
    expect(new Set(results.map(({ parameters }) => parameters)).size).toBe(4);
  });

  test('that is interrupted goes on bit for bit', async () => {
    const flags = [
      '--augmentation',
      'flip-crop',
      '--train-limit',
      '1500',
      '--batch-size',
      '50',
      '--checkpoint-seconds',
      '0.02',
    ];
    const whole = await trained('whole', ...flags);
    const run = join(folder, 'interrupted');
    const started = startTautnet([...SHORT_TRAINING, ...flags, '--out', run]);
    await fileOf(started, join(run, 'checkpoints', 'last.safetensors'));
    started.child.kill('SIGINT');
    expect(await started.ended).toMatchObject({ code: 130 });
    expect(await tautnet(['train', '--resume', run])).toMatchObject({ code: 0 });
    expect(await resultOf(run)).toEqual(whole);
  });
});
