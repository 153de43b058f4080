import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SweepDefinition } from './definition.js';
import { createSweepFolder, extendSweepFolder, readSweepFolder, writeBegun } from './sweep-folder.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-sweep-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const of = (seeds: number, epsilon = 0.1): SweepDefinition => ({
  settings: { epsilon },
  search: {
    search: 'list',
    points: Array.from({ length: seeds }, (_, seed) => ({ seed })),
    objectives: { certified: 'maximize' },
  },
  judge: { on: 'test' },
  labels: Array.from({ length: seeds }, () => 'ibp'),
});

test('a sweep over a list takes more points at its end, and stays the same sweep', async () => {
  await createSweepFolder(folder, of(2));
  await writeBegun(folder, { number: 1, rung: 0, point: { seed: 1 } });
  const before = await readSweepFolder(folder);
  await extendSweepFolder(folder, of(5));
  const after = await readSweepFolder(folder);
  expect(after.definition).toEqual(of(5));
  expect([after.id, after.begun]).toEqual([before.id, before.begun]);
});

test.each([
  ['fewer points', of(1)],
  [
    'other points',
    { ...of(3), search: { ...of(3).search, points: [{ seed: 0 }, { seed: 2 }, { seed: 1 }] } },
  ],
  ['other settings', of(3, 0.2)],
  ['another judge', { ...of(3), judge: { on: 'validation' as const } }],
  ['other labels', { ...of(3), labels: ['ibp', 'crown', 'crown'] }],
])('a sweep is not changed into one with %s', async (_, other) => {
  await createSweepFolder(folder, of(2));
  const before = await readFile(join(folder, 'sweep.json'), 'utf8');
  await expect(extendSweepFolder(folder, other)).rejects.toThrow('is another; choose another folder');
  expect(await readFile(join(folder, 'sweep.json'), 'utf8')).toBe(before);
});
