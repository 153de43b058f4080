import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeOnnx } from '../formats/onnx.js';
import { architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { exportOnnx } from '../network/onnx/export.js';
import { keyOf } from '../runtime/random/keys.js';
import { latticeModel, randomLattice } from '../testing/lattice-networks.js';
import { model, op, random } from '../testing/onnx-models.js';
import { failureOf, tautnet } from '../testing/tautnet-process.js';

/** Inputs in [−1, 1]³, unsafe where y₀ ≥ least. */
const property = (least: number, outputs = 2): string =>
  [
    ...[0, 1, 2].map((i) => `(declare-const X_${i} Real)\n(assert (and (>= X_${i} -1) (<= X_${i} 1)))`),
    ...Array.from({ length: outputs }, (_, j) => `(declare-const Y_${j} Real)`),
    `(assert (>= Y_0 ${least}))\n`,
  ].join('\n');

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-check-'));
  const nodes = [op('Gemm', ['x', 'w', 'b'], 'h'), op('Relu', ['h'], 'r'), op('Gemm', ['r', 'v'], 'y')];
  const constants = [random('w', [3, 8]), random('b', [8]), random('v', [8, 2])];
  await writeFile(at('net.onnx'), encodeOnnx(model({ input: ['batch', 3], nodes, constants })));
  await writeFile(at('safe.vnnlib'), property(20));
  await writeFile(at('other.vnnlib'), property(21));
  await writeFile(
    at('smooth.onnx'),
    encodeOnnx(
      model({
        input: ['batch', 3],
        nodes: [op('Sigmoid', ['x'], 'h'), op('Gemm', ['h', 'v'], 'y')],
        constants: [random('v', [3, 2])],
      }),
    ),
  );
  const net = architecture('fc-small', [1, 28, 28], 10);
  await writeFile(at('mnist.onnx'), exportOnnx(net, initialize(net, 'kaiming', keyOf(0))));
});
afterAll(() => rm(folder, { recursive: true }));

test('a certificate of verify is proved again; of another property, or changed, it is refused in one line', async () => {
  const proof = at('proof.gz');
  const verified = await tautnet(['verify', at('net.onnx'), at('safe.vnnlib'), '--certificate', proof]);
  expect(verified).toMatchObject({ code: 0, stdout: 'unsat\n' });
  expect(verified.stderr).toMatch(/certificate of 1 polytope in .*proof\.gz, \d+ bytes\n$/);
  const checked = await tautnet(['check', proof, at('net.onnx'), at('safe.vnnlib')]);
  expect(checked.stdout).toMatch(/^proved: 1 of 1 sets of unsafe outputs are out of reach, in \d+\.\d s\n$/);
  expect(checked.code).toBe(0);

  const other = await tautnet(['check', proof, at('net.onnx'), at('other.vnnlib')]);
  expect(other.code).toBe(1);
  expect(failureOf(other)).toMatch(/about another property/);
  const text = gunzipSync(await readFile(proof)).toString();
  await writeFile(at('changed.gz'), gzipSync(text.replace('"of":[0]', '"of":[ ]')));
  const changed = await tautnet(['check', at('changed.gz'), at('net.onnx'), at('safe.vnnlib'), '--json']);
  expect(changed).toMatchObject({ code: 1, stdout: '' });
  expect(failureOf(changed)).toMatch(/its digest differs/);
});

test('a certificate is about the neurons of the file, some of which are opposite', async () => {
  const [model, unsafe, proof] = [at('lattice.onnx'), at('lattice.vnnlib'), at('lattice.gz')];
  await writeFile(model, encodeOnnx(latticeModel(randomLattice('check', 4, 3))));
  await writeFile(unsafe, property(20, 1));
  const verified = await tautnet(['verify', model, unsafe, '--certificate', proof]);
  expect(verified).toMatchObject({ code: 0, stdout: 'unsat\n' });
  expect((await tautnet(['check', proof, model, unsafe])).code).toBe(0);
});

test('certified images are proved again, and the checker alone agrees', async () => {
  const proof = at('images.gz');
  const images = ['--dataset', 'mnist', '--limit', '30'];
  const about = ['--epsilon', '0.001', '--verdicts', at('verdicts.jsonl'), '--certificate', proof, '--json'];
  const certified = await tautnet(['certify', at('mnist.onnx'), ...images, ...about]);
  expect(certified.code).toBe(0);
  const count = Math.round((JSON.parse(certified.stdout) as { certified: number }).certified * 30);
  expect(count).toBeGreaterThan(0);
  const checked = await tautnet([
    'check',
    proof,
    at('mnist.onnx'),
    '--dataset',
    'mnist',
    '--threads',
    '2',
    '--json',
  ]);
  expect(JSON.parse(checked.stdout)).toMatchObject({ proved: count, of: 10_000 });
}, 300_000);

test('what cannot be certified is said, and the verdict stays', async () => {
  const proof = at('none.gz');
  const verified = await tautnet(['verify', at('smooth.onnx'), at('safe.vnnlib'), '--certificate', proof]);
  expect(verified).toMatchObject({ code: 0, stdout: 'unsat\n' });
  expect(verified.stderr).toMatch(/no certificate: model: operator Sigmoid is not read by the checker\n$/);
  await expect(readFile(proof)).rejects.toThrow(/ENOENT/);
});

test('mistakes are refused with code 2', async () => {
  const missing = await tautnet(['check', at('nothing.gz'), at('net.onnx'), at('safe.vnnlib')]);
  expect(missing.code).toBe(2);
  expect(failureOf(missing)).toMatch(/nothing\.gz/);
  await writeFile(at('some.gz'), 'text');
  const neither = await tautnet(['check', at('some.gz'), at('net.onnx')]);
  expect(neither.code).toBe(2);
  expect(failureOf(neither)).toMatch(/expected a property, or --dataset/);
  const noJson = await tautnet(['check', at('some.gz'), at('net.onnx'), at('safe.vnnlib')]);
  expect(noJson.code).toBe(1);
  expect(failureOf(noJson)).toMatch(/certificate: the file is damaged/);
});
