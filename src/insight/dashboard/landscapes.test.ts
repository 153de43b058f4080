import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { train } from '../../library/train.js';
import { Landscapes } from './landscapes.js';
import { OpenDatasets } from './open-datasets.js';

let folder: string;
let run: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-landscapes-'));
  run = join(folder, 'run');
  const short = { architecture: 'fc-small', trainLimit: 100, batchSize: 50, epochs: 1 } as const;
  await train({ ...short, method: 'natural', out: run });
});
afterAll(() => rm(folder, { recursive: true }));

const choice = { direction: 'random', relaxations: ['ibp'] } as const;
const never = new AbortController().signal;
const scan = { points: 3, samples: 2, sigmas: [0, 0.001] };
const opened = () => new Landscapes({ datasets: new OpenDatasets(), cache: folder, scan });

describe('landscapes of runs', () => {
  test('are computed once for all who ask, with progress, and at once the next time', async () => {
    const landscapes = opened();
    const told: [number, number][] = [];
    const ask = (signal = never) =>
      landscapes.of(run, choice, (done, total) => void told.push([done, total]), signal);
    const left = new AbortController();
    const [first, second, third] = [ask(), ask(), ask(left.signal)];
    left.abort(new Error('left'));
    await expect(third).rejects.toThrow('left');
    const found = await first;
    expect(await second).toBe(found);
    expect(found.subjects.map(({ name }) => name)).toEqual(['at initialisation', 'after training']);
    expect(told.at(-1)).toEqual([4, 4]);
    await landscapes.close();

    const other = opened();
    let progress = 0;
    expect(await other.of(run, choice, () => progress++, never)).toEqual(found);
    expect(progress).toBe(0);
    await other.close();
  });

  test('of a network that has changed, or from a damaged file, are computed anew', async () => {
    const landscapes = opened();
    const names = await readdir(join(folder, 'landscapes'));
    const file = join(folder, 'landscapes', names[0] as string);
    const kept = await readFile(file, 'utf8');
    await writeFile(file, kept.slice(0, 100));
    const found = await landscapes.of(run, choice, () => undefined, never);
    expect(JSON.stringify(found)).toBe(kept);
    const config = join(run, 'config.yaml');
    await writeFile(config, (await readFile(config, 'utf8')).replace(/^epsilon: .*$/m, 'epsilon: 0.05'));
    expect((await landscapes.of(run, choice, () => undefined, never)).epsilon).toBe(0.05);
    await landscapes.close();
  });

  test('are given up when nobody waits, and leave nothing', async () => {
    const landscapes = opened();
    const before = await readdir(join(folder, 'landscapes'));
    const gone = new AbortController();
    const asked = landscapes.of(
      run,
      { ...choice, relaxations: ['ibp', 'crown-ibp'] },
      () => gone.abort(new Error('nobody listens')),
      gone.signal,
    );
    await expect(asked).rejects.toThrow('nobody listens');
    await landscapes.close();
    expect(await readdir(join(folder, 'landscapes'))).toEqual(before);
  });
});
