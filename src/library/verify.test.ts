import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeOnnx } from '../formats/onnx.js';
import { model, op } from '../testing/onnx-models.js';
import { readNetwork, readProperty } from './read-network.js';
import { verify } from './verify.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-verify-'));
});
afterAll(() => rm(folder, { recursive: true }));

const numbers = (name: string, shape: readonly number[], values: readonly number[]) => ({
  name,
  shape,
  data: Float64Array.from(values),
});

test('a float64 file is proved as that: what float32 rounds away is no proof', async () => {
  // y = 10⁹ ((1 + 10⁻⁹) x − x) is x in float64, and 0 with weights of float32.
  const bytes = encodeOnnx(
    model({
      double: true,
      input: ['batch', 1],
      nodes: [op('Gemm', ['x', 'w'], 'h'), op('MatMul', ['h', 'v'], 'y')],
      constants: [numbers('w', [1, 2], [1 + 1e-9, 1]), numbers('v', [2, 1], [1e9, -1e9])],
    }),
  );
  const [network, property] = [join(folder, 'double.onnx'), join(folder, 'half.vnnlib')];
  await writeFile(network, bytes);
  await writeFile(
    property,
    '(declare-const X_0 Real)(declare-const Y_0 Real)' +
      '(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= Y_0 0.5))',
  );
  for (const sound of [true, false]) {
    const options = { threads: 1, timeoutSeconds: 20, sound };
    expect((await verify(network, property, options)).verdict).toBe('sat');
    const read = await verify(await readNetwork(network), await readProperty(property), options);
    expect(read.verdict).toBe('sat');
  }
});
