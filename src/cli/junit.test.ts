import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeJunit } from './junit.js';

test('a JUnit report has a case for each verdict: failed with a counterexample, skipped if undecided', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-junit-'));
  try {
    const path = join(folder, 'report.xml');
    await writeJunit(path, 'verify net.onnx', [
      { name: 'proved', seconds: 1.5 },
      { name: 'refuted', failure: 'sat ((X_0 1))' },
      { name: 'open', skipped: 'timeout' },
    ]);
    const text = await readFile(path, 'utf8');
    expect(text).toMatch(/tests="3" failures="1" errors="0" skipped="1"/);
    expect(text).toContain('sat ((X_0 1))');
  } finally {
    await rm(folder, { recursive: true });
  }
});
