import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { DeviceError } from '../runtime/device/device.js';
import { hasRowKernel, rowsComputedBy } from '../runtime/kernels/row-kernel.js';
import type { Pool } from '../runtime/pool/pool.js';
import { createRun, openRun, type Run } from './run/run-folder.js';
import { resolveSettings } from './settings/resolve-settings.js';
import { trainRun } from './train-run.js';

/** How many tasks the device does before it is lost. */
const device = vi.hoisted(() => ({ tasksLeft: Number.POSITIVE_INFINITY }));

vi.mock('../runtime/pool/pool.js', async (original) => {
  const real = await original<typeof import('../runtime/pool/pool.js')>();
  const createPool = (...given: Parameters<typeof real.createPool>): Pool => {
    const pool = real.createPool(...given);
    const run: Pool['run'] = (task) =>
      device.tasksLeft-- > 0
        ? pool.run(task)
        : Promise.reject(new DeviceError('webgpu', new Error('WebGPU device lost (1): it was unplugged')));
    return { ...pool, run };
  };
  return { ...real, createPool };
});

const folder = await mkdtemp(join(tmpdir(), 'tautnet-device-'));
afterAll(() => rm(folder, { recursive: true }));

const given = {
  architecture: 'fc-small',
  trainLimit: 200,
  validation: 50,
  batchSize: 50,
  microBatch: 25,
  epochs: 2,
  warmupEpochs: 1,
  warmupStart: 0,
  learningRateDecayEpochs: [],
  threads: 1,
};
const settings = resolveSettings(given);
async function trained(run: Run): Promise<void> {
  try {
    await trainRun(run);
  } finally {
    await run.release();
  }
}
const parametersOf = (path: string) => readFile(join(path, 'parameters.safetensors'));

describe('a training whose device is lost', () => {
  const whole = join(folder, 'whole');
  beforeAll(async () => {
    await trained(await createRun(whole, settings));
  });

  // Three steps of two micro-batches make an epoch, and its validation takes two more: in a step, and while
  // validating.
  test.each([3, 7])(
    'stops after %i tasks with a checkpoint and one line, and goes on to the same bits',
    async (tasks) => {
      const path = join(folder, `lost-${tasks}`);
      device.tasksLeft = tasks;
      await expect(trained(await createRun(path, settings))).rejects.toThrow(
        `webgpu: the device was lost (WebGPU device lost (1): it was unplugged); check its driver and its power, or use the device cpu; go on with \`tautnet train --resume ${path}\``,
      );
      device.tasksLeft = Number.POSITIVE_INFINITY;
      await trained(await openRun(path));
      expect(await parametersOf(path)).toEqual(await parametersOf(whole));
    },
  );

  test('a device that is not there is refused before anything is left behind', async () => {
    const path = join(folder, 'none');
    const loader = process.env.VK_ICD_FILENAMES;
    process.env.VK_ICD_FILENAMES = '/there/is/no/driver.json';
    try {
      await expect(
        trained(
          await createRun(path, { ...settings, device: process.platform === 'linux' ? 'webgpu' : 'cuda' }),
        ),
      ).rejects.toThrow(/^--device (webgpu|cuda): expected a usable device, /);
    } finally {
      if (loader === undefined) delete process.env.VK_ICD_FILENAMES;
      else process.env.VK_ICD_FILENAMES = loader;
    }
    await expect(openRun(path)).rejects.toThrow('expected the folder of a run');
  });
});

describe.skipIf(!hasRowKernel())('a run whose layers and rows kernels computed', () => {
  afterEach(() => vi.unstubAllEnvs());

  /** Warnings of a run of one relaxation that is created with the kernel and goes on as `rows` says. */
  async function warnings(
    name: string,
    relaxation: 'crown' | 'ibp',
    rows: string,
    smoothing: 'none' | 'pgpe' = 'none',
  ): Promise<string[]> {
    const path = join(folder, name);
    const short = { trainLimit: 50, validation: 25, epochs: 1, warmupEpochs: 0 };
    const created = await createRun(path, resolveSettings({ ...given, ...short, relaxation, smoothing }));
    await created.release();
    vi.stubEnv('TAUTNET_ROWS', rows);
    const run = await openRun(path);
    const said: string[] = [];
    try {
      await trainRun(run, { begin: (start) => said.push(...start.warnings) });
    } finally {
      await run.release();
    }
    return said;
  }

  test.each(['crown', 'ibp'] as const)(
    'says in one line that it goes on without them with %s, and that last bits may differ',
    async (relaxation) => {
      const by = rowsComputedBy();
      const name = `other-rows-${relaxation}`;
      expect(await warnings(name, relaxation, 'ort')).toEqual([
        `${join(folder, name)}: expected layers and rows computed by ${by} as before, they are by ort: ` +
          'last bits may differ; see TAUTNET_ROWS and npm run build',
      ]);
    },
  );

  test('says nothing where it goes on with them', async () => {
    expect(await warnings('same-rows', 'crown', '')).toEqual([]);
  });

  test('says it of PGPE with intervals too, whose values come from native code', async () => {
    expect(await warnings('other-values', 'ibp', 'ort', 'pgpe')).toEqual([
      expect.stringMatching(/expected layers and rows computed by .*, they are by ort/),
    ]);
  });
});
