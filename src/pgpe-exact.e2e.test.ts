import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { ROOT } from './testing/tautnet-process.js';

const folder = mkdtempSync(join(tmpdir(), 'tautnet-pgpe-exact-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const table = join(folder, 'runs.csv');
const study = (...args: string[]) =>
  promisify(execFile)(process.execPath, [join(ROOT, 'bench', 'pgpe-exact.mjs'), '--out', table, ...args]);

test('the study of exact bounds goes on where its table ends, and gives the same lines again', async () => {
  const first = await study('--rows', 'ibp,crown-ibp', '--seeds', '2');
  expect(first.stdout).toMatch(/^\| crown-ibp \| 0\.\d+ \| \d/m);
  const whole = readFileSync(table, 'utf8');
  const lines = whole.trimEnd().split('\n');
  // Of each row three rates on two seeds for tuning, and two final seeds.
  expect(lines.length).toBe(1 + 2 * (3 * 2 + 2));

  writeFileSync(table, `${lines.slice(0, -1).join('\n')}\n`);
  const second = await study('--rows', 'ibp,crown-ibp', '--seeds', '2');
  const withoutSeconds = (text: string) => text.replaceAll(/,[\d.]+$/gm, '');
  expect(withoutSeconds(readFileSync(table, 'utf8'))).toBe(withoutSeconds(whole));
  expect(second.stderr.trimEnd().split('\n')).toHaveLength(1);
  await expect(study('--rows', 'ibp-gpe')).rejects.toThrow(/expected .*, got the row "ibp-gpe"/);
});
