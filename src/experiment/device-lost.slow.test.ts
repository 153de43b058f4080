/** A training whose θ was on a device that is lost: what is left, and how it goes on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { DeviceError } from '../runtime/device/device.js';
import type { Pool } from '../runtime/pool/pool.js';
import { deviceForTests } from '../testing/devices.js';
import { distance } from '../testing/operator-check.js';
import type { TrainingState } from '../training/loop.js';
import { loadLast } from './run/checkpoint-folder.js';
import { createRun, openRun, type Run } from './run/run-folder.js';
import { resolveSettings } from './settings/resolve-settings.js';
import { trainRun } from './train-run.js';

const present = await deviceForTests();

/** Steps that the device does before it is lost. */
const device = vi.hoisted(() => ({ stepsLeft: Number.POSITIVE_INFINITY }));

vi.mock('../runtime/pool/pool.js', async (original) => {
  const real = await original<typeof import('../runtime/pool/pool.js')>();
  const createPool = (...given: Parameters<typeof real.createPool>): Pool => {
    const pool = real.createPool(...given);
    const gone = () =>
      Promise.reject(new DeviceError(pool.device, new Error('WebGPU device lost (1): it was unplugged')));
    return {
      ...pool,
      population: (task) => (device.stepsLeft-- > 0 ? pool.population(task) : gone()),
      // What was there cannot be read any more.
      vectors: pool.vectors && {
        ...pool.vectors,
        read: (vector) =>
          device.stepsLeft >= 0 ? (pool.vectors as typeof pool.vectors & object).read(vector) : gone(),
      },
    };
  };
  return { ...real, createPool };
});

const folder = await mkdtemp(join(tmpdir(), 'tautnet-device-lost-'));
afterAll(() => rm(folder, { recursive: true }));

const settings = resolveSettings({
  architecture: 'fc-small',
  trainLimit: 32,
  batchSize: 16,
  microBatch: 16,
  epochs: 2,
  warmupEpochs: 1,
  warmupStart: 0,
  learningRateDecayEpochs: [],
  smoothing: 'rgs',
  samples: 2,
  sigmaDecay: 'constant',
  threads: 1,
  device: present ?? 'cpu',
});
async function trained(run: Run): Promise<TrainingState> {
  try {
    await trainRun(run);
    return (await stateOf(run.path)) as TrainingState;
  } finally {
    await run.release();
  }
}
const stateOf = async (path: string): Promise<TrainingState | undefined> =>
  ((await loadLast(join(path, 'checkpoints')))?.value as unknown as { training: TrainingState } | undefined)
    ?.training;

describe.skipIf(present === undefined)(`a training on ${present} that is lost`, () => {
  test('leaves the state at the end of the epoch before, and goes on from it to where it would have come', async () => {
    const whole = await trained(await createRun(join(folder, 'whole'), settings));
    const path = join(folder, 'lost');
    device.stepsLeft = 3;
    await expect(trained(await createRun(path, settings))).rejects.toThrow(
      new RegExp(`^${present}: the device was lost .*; go on with \`tautnet train --resume ${path}\``),
    );
    expect((await stateOf(path))?.step).toBe(2);
    device.stepsLeft = Number.POSITIVE_INFINITY;
    const resumed = await trained(await openRun(path));
    expect(resumed.step).toBe(4);
    expect(distance(resumed.theta, whole.theta)).toBeLessThan(1e-5);
  });

  test('leaves no checkpoint that is older than the last one', async () => {
    const path = join(folder, 'late');
    device.stepsLeft = 3;
    await expect(trained(await createRun(path, { ...settings, checkpointSeconds: 0.001 }))).rejects.toThrow(
      /the device was lost/,
    );
    expect((await stateOf(path))?.step).toBe(3);
    device.stepsLeft = Number.POSITIVE_INFINITY;
  });
});
