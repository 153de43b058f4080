/** An ONNX file and a VNN-LIB file, decided: `node examples/verify-vnnlib.mjs`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { architecture, exportOnnx, initialize, keyOf, verify } from 'tautnet';

const folder = await mkdtemp(join(tmpdir(), 'tautnet-example-'));
try {
  const network = architecture('fc-small', [1, 1, 2], 2);
  const onnx = join(folder, 'network.onnx');
  await writeFile(onnx, exportOnnx(network, initialize(network, 'kaiming', keyOf(1))));
  const vnnlib = join(folder, 'property.vnnlib');
  const declared = ['X_0', 'X_1', 'Y_0', 'Y_1'].map((name) => `(declare-const ${name} Real)`);
  const box = ['X_0', 'X_1'].flatMap((name) => [`(assert (>= ${name} 0))`, `(assert (<= ${name} 1))`]);
  await writeFile(vnnlib, [...declared, ...box, '(assert (>= Y_0 100))'].join('\n'));
  const { verdict, stage } = await verify(onnx, vnnlib, { timeoutSeconds: 60 });
  console.log(`${verdict}, decided by ${stage}`);
} finally {
  await rm(folder, { recursive: true });
}
