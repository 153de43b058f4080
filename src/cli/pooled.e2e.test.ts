import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tautnet } from '../testing/tautnet-process.js';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-pooled-'));
  path = join(folder, 'run');
  const network = ['--architecture', 'conv 4@5 s2 p2, linear', '--pool', '2 max'];
  const short = '--train-limit 256 --batch-size 64 --epochs 1 --epsilon 0.02'.split(' ');
  const { code, stderr } = await tautnet(['train', ...network, ...short, '--out', path]);
  expect([code, stderr]).toEqual([0, expect.any(String)]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a run on pooled images is looked at on them', () => {
  test('certify, and check of its certificate', async () => {
    const proofs = join(folder, 'proofs.gz');
    const certified = await tautnet(['certify', path, '--limit', '20', '--certificate', proofs, '--quiet']);
    expect([certified.code, certified.stderr]).toEqual([0, '']);
    const checked = await tautnet(['check', proofs, path, '--quiet']);
    expect([checked.code, checked.stderr]).toEqual([0, '']);
    expect(checked.stdout).toMatch(/^proved: \d+ of /);
  });

  test('report counts its neurons', async () => {
    const { code, stderr } = await tautnet(['report', path, '--quiet']);
    expect([code, stderr]).toEqual([0, '']);
    expect(await readFile(join(path, 'report.html'), 'utf8')).toContain('on mnist');
  });

  test('compare computes its loss: no tighter relaxation has a higher one', async () => {
    const losses = ['--losses', 'ibp,nested-crown-ibp,deeppoly', '--json', '--quiet'];
    const { code, stdout, stderr } = await tautnet(['compare', path, ...losses]);
    expect([code, stderr]).toEqual([0, '']);
    const [run] = JSON.parse(stdout).runs;
    expect(run.losses.deeppoly).toBeGreaterThan(0);
    expect(run.losses.deeppoly).toBeLessThan(run.losses['nested-crown-ibp'] + 1e-6);
    expect(run.losses['nested-crown-ibp']).toBeLessThan(run.losses.ibp);
    const wrong = await tautnet(['compare', path, '--losses', 'crwn']);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('--losses: ')]);
  });

  test('landscape, at its initialisation as well', async () => {
    const out = join(folder, 'landscape.csv');
    const few = ['--points', '3', '--samples', '2', '--relaxations', 'ibp', '--json', '--quiet'];
    const { code, stdout, stderr } = await tautnet(['landscape', path, ...few, '--out', out]);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout).subjects.map(({ name }: { name: string }) => name)).toEqual([
      'at initialisation',
      'after training',
    ]);
  });
});
