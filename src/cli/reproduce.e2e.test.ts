import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tautnet } from '../testing/tautnet-process.js';

test('what a published table tells is not run again: a new folder has its rows and findings at once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-reproduce-known-'));
  try {
    const table = 'docs/results/full-0.3.csv';
    const { code, stdout } = await tautnet([
      ...['reproduce', 'paradox', 'rgs', '--setting', 'full-0.3', '--seeds', '3', '--json'],
      ...['--rows', 'ibp,crown-ibp,ibp-rgs,crown-ibp-rgs', '--known', table, '--out', join(folder, 'runs')],
    ]);
    const { findings } = JSON.parse(stdout) as { findings: { better: string; answer: string }[] };
    expect([code, findings.map(({ better, answer }) => `${better} ${answer}`)]).toEqual([
      0,
      ['ibp shown', 'crown-ibp-rgs open', 'crown-ibp-rgs open'],
    ]);
    expect(await readFile(join(folder, 'runs', 'results.csv'), 'utf8')).toBe(await readFile(table, 'utf8'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
