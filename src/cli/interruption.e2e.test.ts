import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeCheckpoint } from '../experiment/run/checkpoint.js';
import { failureOf, fileOf, resultOf, startTautnet, tautnet } from '../testing/tautnet-process.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-interruption-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Two epochs of 30 steps and a checkpoint every few of them: long enough to be stopped within an epoch. */
const training = (run: string, ...flags: string[]): string[] => [
  ...['train', '--architecture', 'fc-small', '--train-limit', '1500', '--batch-size', '50', '--epochs', '2'],
  ...['--checkpoint-seconds', '0.02', '--out', join(folder, run), ...flags],
];

const checkpointOf = (run: string): string => join(folder, run, 'checkpoints', 'last.safetensors');

/** Steps done at the last checkpoint. */
async function stepOf(run: string): Promise<number> {
  const saved = decodeCheckpoint(await readFile(checkpointOf(run))) as unknown as {
    training: { step: number };
  };
  return saved.training.step;
}

/** As if the lock's holder had died long ago: what would otherwise have to be waited for. */
async function age(run: string): Promise<void> {
  const past = new Date(Date.now() - 60_000);
  await utimes(join(folder, run, 'lock'), past, past);
}

describe('a training that is stopped', () => {
  test('by kill -9, within an epoch and again after it was resumed, ends in the same bits as one that is not', async () => {
    const flags = ['--smoothing', 'rgs', '--samples', '2', '--train-limit', '1600', '--validation', '100'];
    expect(await tautnet(training('whole', ...flags))).toMatchObject({ code: 0 });
    const steps: number[] = [];
    for (let started = startTautnet(training('killed', ...flags)), kill = 0; kill < 2; kill++) {
      await fileOf(started, checkpointOf('killed'));
      started.child.kill('SIGKILL');
      expect(await started.ended).toMatchObject({ code: null });
      steps.push(await stepOf('killed'));
      await age('killed');
      if (kill === 0) {
        await rm(checkpointOf('killed').replace('last', 'previous'), { force: true });
        started = startTautnet(['train', '--resume', join(folder, 'killed')]);
        // Saved by the second process: the first one's last checkpoint has moved here.
        await fileOf(started, checkpointOf('killed').replace('last', 'previous'));
      }
    }
    expect(steps.every((step) => step > 0 && step < 60)).toBe(true);
    expect(steps[1]).toBeGreaterThan(steps[0] as number);
    const { code, stderr } = await tautnet(['train', '--resume', join(folder, 'killed')]);
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining(`going on after epoch ${((steps[1] as number) / 30).toFixed(2)}`),
    ]);
    expect(await resultOf(join(folder, 'killed'))).toEqual(await resultOf(join(folder, 'whole')));
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s ends with code 130 and one line, and goes on bit for bit',
    async (signal) => {
      // σ is learned and the rule has momentum: both are part of what a checkpoint must hold.
      const flags = [
        '--train-limit',
        '500',
        '--epochs',
        '3',
        '--smoothing',
        'pgpe',
        '--samples',
        '2',
        '--sigma-learning-rate',
        '0.1',
        '--sigma-mode',
        'coordinate',
      ];
      const optimizer = signal === 'SIGINT' ? 'clipup' : 'sgd';
      expect(await tautnet(training(`${signal}-whole`, ...flags, '--optimizer', optimizer))).toMatchObject({
        code: 0,
      });
      const started = startTautnet(training(signal, ...flags, '--optimizer', optimizer, '--threads', '1'));
      await fileOf(started, checkpointOf(signal));
      started.child.kill(signal);
      const ended = await started.ended;
      expect([ended.code, failureOf(ended)]).toEqual([130, `tautnet: interrupted by ${signal}`]);
      for (const name of ['lock', 'holder.json', 'summary.md', 'parameters.safetensors'])
        expect(existsSync(join(folder, signal, name))).toBe(false);
      expect(await stepOf(signal)).toBeLessThan(30);
      expect(await tautnet(['train', '--resume', join(folder, signal)])).toMatchObject({ code: 0 });
      expect(await resultOf(join(folder, signal))).toEqual(await resultOf(join(folder, `${signal}-whole`)));
    },
  );

  test('keeps others out while it goes on', async () => {
    const started = startTautnet(training('held', '--epochs', '500'));
    await fileOf(started, checkpointOf('held'));
    const other = await tautnet(['train', '--resume', join(folder, 'held')]);
    expect(other.code).toBe(1);
    expect(failureOf(other)).toContain(
      `expected a run that nobody works on, but process ${started.child.pid} on `,
    );
    expect(started.child.exitCode).toBe(null);
    started.child.kill('SIGINT');
    expect(await started.ended).toMatchObject({ code: 130 });
  });
});
