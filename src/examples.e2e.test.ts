import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { ROOT } from './testing/tautnet-process.js';

const execute = promisify(execFile);
const files = readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.mjs'));
const folder = mkdtempSync(join(tmpdir(), 'tautnet-examples-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('examples', () => {
  test('are at least eight, and import the package as a user does', () => {
    expect(files.length).toBeGreaterThanOrEqual(8);
    for (const file of files) {
      const text = readFileSync(join(ROOT, 'examples', file), 'utf8');
      expect(text).toMatch(/from 'tautnet/);
      expect(text).not.toMatch(/from '\.\./);
    }
  });

  test.each(files)('%s runs', async (file) => {
    const path = join(ROOT, 'examples', file);
    const { stdout } = await execute(process.execPath, [path, join(folder, file)], { cwd: folder });
    expect(stdout).not.toBe('');
  });
});
