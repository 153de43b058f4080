import { mkdtemp, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decodeCheckpoint } from '../experiment/run/checkpoint.js';
import { decodeSafetensors } from '../formats/safetensors.js';
import { deviceForTests } from '../testing/devices.js';
import { distance } from '../testing/operator-check.js';
import { fileOf, startTautnet, tautnet } from '../testing/tautnet-process.js';

const present = await deviceForTests();
const folder = await mkdtemp(join(tmpdir(), 'tautnet-devices-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

/**
 * Two epochs of three steps; σ and the velocity are part of where a run is. ClipUp and not Adam: where the
 * gradient of a coordinate is all rounding, Adam would make a whole step of it.
 */
const training = (run: string, ...flags: string[]): string[] => [
  ...[
    'train',
    '--architecture',
    'fc-small',
    '--train-limit',
    '48',
    '--batch-size',
    '16',
    '--micro-batch',
    '16',
    '--epochs',
    '2',
  ],
  ...[
    '--relaxation',
    'crown-ibp',
    '--smoothing',
    'pgpe',
    '--samples',
    '2',
    '--sigma',
    '0.01',
    '--sigma-mode',
    'coordinate',
    '--sigma-learning-rate',
    '0.1',
  ],
  ...[
    '--warmup-epochs',
    '1',
    '--warmup-start',
    '0',
    '--learning-rate-decay-epochs',
    '1',
    '--checkpoint-seconds',
    '0.02',
    '--optimizer',
    'clipup',
  ],
  ...['--out', join(folder, run), ...flags],
];
const checkpoint = (run: string, name: string): string =>
  join(folder, run, 'checkpoints', `${name}.safetensors`);

async function stepOf(run: string): Promise<number> {
  const saved = decodeCheckpoint(await readFile(checkpoint(run, 'last'))) as unknown as {
    training: { step: number };
  };
  return saved.training.step;
}

async function parametersOf(run: string): Promise<number[]> {
  const path = join(folder, run, 'parameters.safetensors');
  const { tensors } = decodeSafetensors(await readFile(path), path);
  return Object.keys(tensors)
    .sort()
    .flatMap((name) => Array.from(tensors[name]?.data as Float32Array));
}

describe.skipIf(present === undefined)(`a training on ${present}`, () => {
  test('that is killed, goes on there, is interrupted and goes on on the CPU ends where one on the CPU does, to rounding', async () => {
    const device = present as string;
    expect(await tautnet(training('whole'))).toMatchObject({ code: 0 });

    const killed = startTautnet(training('moved', '--device', device));
    await fileOf(killed, checkpoint('moved', 'last'));
    killed.child.kill('SIGKILL');
    await killed.ended;
    const first = await stepOf('moved');
    // As if its process had died long ago: what would otherwise be waited for.
    await utimes(join(folder, 'moved', 'lock'), new Date(0), new Date(0));
    await rm(checkpoint('moved', 'previous'), { force: true });

    const interrupted = startTautnet(['train', '--resume', join(folder, 'moved')]);
    await fileOf(interrupted, checkpoint('moved', 'previous'));
    interrupted.child.kill('SIGINT');
    const { code, stderr } = await interrupted.ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining(`, on ${device}\n`)]);
    expect(await stepOf('moved')).toBeGreaterThan(first);
    expect(await stepOf('moved')).toBeLessThan(6);

    expect(await tautnet(['train', '--resume', join(folder, 'moved'), '--device', 'cpu'])).toMatchObject({
      code: 0,
    });
    const [expected, made] = [await parametersOf('whole'), await parametersOf('moved')];
    expect(made).not.toEqual(expected);
    expect(distance(made, expected)).toBeLessThan(1e-5);
  });
});
