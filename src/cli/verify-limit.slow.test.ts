import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { exportOnnx } from '../network/onnx/export.js';
import { keyOf } from '../runtime/random/keys.js';
import { tautnet } from '../testing/tautnet-process.js';

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-limit-'));
  const net = architecture('linear 9000, linear 9000, linear', [1, 28, 28], 10);
  await writeFile(at('large.onnx'), exportOnnx(net, initialize(net, 'kaiming', keyOf(1))));
  const inputs = Array.from(
    { length: 784 },
    (_, i) => `(declare-const X_${i} Real)(assert (>= X_${i} 0.5))(assert (<= X_${i} 0.5001))`,
  );
  const outputs = Array.from({ length: 10 }, (_, j) => `(declare-const Y_${j} Real)`);
  await writeFile(at('p.vnnlib'), [...inputs, ...outputs, '(assert (>= Y_1 90))'].join('\n'));
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

// One call takes more than five seconds; the file is 340 MB, which has to be read as well.
test.each([3, 6])(
  'verify ends within a second of its limit of %d s, its process too, and leaves its verdict',
  async (limit) => {
    const began = performance.now();
    const flags = ['--timeout', `${limit}`, '--threads', '1', '--out', at('verdict.txt')];
    const ended = await tautnet(['verify', at('large.onnx'), at('p.vnnlib'), ...flags]);
    const seconds = (performance.now() - began) / 1000;
    expect([ended.code, ended.stdout]).toEqual([3, 'timeout\n']);
    expect(await readFile(at('verdict.txt'), 'utf8')).toBe('timeout\n');
    expect(seconds).toBeLessThan(limit + 1);
  },
  60_000,
);
