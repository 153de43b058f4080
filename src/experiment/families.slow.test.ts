/** Files made as those of families of the verification competition are, decided within its minute. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeOnnx } from '../formats/onnx.js';
import { architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { featuresOf } from '../network/layers/layer.js';
import { exportOnnx } from '../network/onnx/export.js';
import { createPool } from '../runtime/pool/pool.js';
import { keyOf } from '../runtime/random/keys.js';
import { biasFieldModel, COEFFICIENTS } from '../testing/bias-fields.js';
import { type Lattice, latticeModel, latticeValue, randomLattice } from '../testing/lattice-networks.js';
import { normalNumbers, uniformNumbers } from '../testing/numbers.js';
import { runOnnx } from '../testing/onnx-runs.js';
import { readVerificationTask, verifyTask } from './verification-task.js';

const SECONDS = 60;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-families-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A property over boxes of inputs, unsafe where one of `unsafe` holds. */
const propertyText = (
  box: readonly (readonly [number, number])[],
  outputs: number,
  unsafe: readonly string[],
) =>
  [
    ...box.map((_, i) => `(declare-const X_${i} Real)`),
    ...Array.from({ length: outputs }, (_, k) => `(declare-const Y_${k} Real)`),
    ...box.map(([low, high], i) => `(assert (and (>= X_${i} ${low}) (<= X_${i} ${high})))`),
    `(assert (or ${unsafe.map((one) => `(and ${one})`).join(' ')}))`,
  ].join('\n');

/** Decides it with workers of its own, and says how long that took. */
async function decided(name: string, model: Uint8Array, property: string): Promise<string> {
  const [modelFile, propertyFile] = [join(folder, 'model.onnx'), join(folder, 'property.vnnlib')];
  await writeFile(modelFile, model);
  await writeFile(propertyFile, property);
  const started = performance.now();
  const task = await readVerificationTask(modelFile, propertyFile);
  const pool = createPool(2);
  const { verdict, subproblems } = await verifyTask(task, { pool, timeoutSeconds: SECONDS });
  await pool.close();
  await task.model.close();
  const seconds = (performance.now() - started) / 1000;
  console.info(`${name}: ${verdict}, ${subproblems} subproblems, ${seconds.toFixed(1)} s`);
  return verdict;
}

/** Slopes as steep, beside the offsets, as the competition's are: the pieces meet within the box. */
const steep = ({ slopes, ...rest }: Lattice): Lattice => ({
  ...rest,
  slopes: slopes.map((row) => row.map((slope) => Math.fround(2 * slope))),
});

test.each([8, 16, 24, 32, 40, 48, 56, 64])('a two-level lattice of %s functions', async (functions) => {
  const lattice = steep(randomLattice(`family ${functions}`, functions, 2));
  const places = Array.from({ length: 201 }, (_, i) => i / 50 - 2);
  const values = places.flatMap((x) => places.map((y) => latticeValue(lattice, [x, y])));
  const [least, largest] = [Math.min(...values), Math.max(...values)];
  const model = encodeOnnx(latticeModel(lattice));
  for (const [share, expected] of [
    [-0.02, 'sat'],
    [0.1, 'unsat'],
    [0.5, 'unsat'],
  ] as const) {
    const threshold = largest + share * (largest - least);
    const property = propertyText(
      [
        [-2, 2],
        [-2, 2],
      ],
      1,
      [`(>= Y_0 ${threshold})`],
    );
    expect(await decided(`lattice ${functions}, ${share} of its range above`, model, property)).toBe(
      expected,
    );
  }
});

test.each([0, 1, 2])('bias fields over image %s of a convolutional network', async (seed) => {
  const extents = [3, 32, 32] as const;
  const net = architecture(
    'conv 32@5 s2 p2, conv 64@4 s2 p1, conv 128@4 s2 p1, linear 128, linear',
    extents,
    10,
  );
  const file = exportOnnx(net, initialize(net, 'kaiming', keyOf(`bias fields ${seed}`)));
  const size = featuresOf(extents);
  const [shades, noise] = [uniformNumbers(`shades ${seed}`, 3), normalNumbers(`image ${seed}`, size)];
  const image = Float32Array.from(noise, (z, i) => {
    const shade = 0.3 + 0.4 * (shades[Math.floor(i / 1024)] as number);
    return Math.min(1, Math.max(0, shade + 0.1 * z));
  });
  const model = encodeOnnx(biasFieldModel(file, extents, image));
  const epsilon = 0.05;
  const box = Array.from({ length: COEFFICIENTS }, (_, k): [number, number] =>
    k === COEFFICIENTS - 1
      ? [1 - epsilon, 1 + epsilon]
      : [-epsilon / (COEFFICIENTS - 1), epsilon / (COEFFICIENTS - 1)],
  );
  const centre = Float32Array.from({ length: COEFFICIENTS }, (_, k) => (k === COEFFICIENTS - 1 ? 1 : 0));
  const y = await runOnnx(model, centre, 1, [COEFFICIENTS]);
  const label = Array.from(y).indexOf(Math.max(...y));
  const others = Array.from({ length: 10 }, (_, k) => k).filter((k) => k !== label);
  const property = propertyText(
    box,
    10,
    others.map((k) => `(>= Y_${k} Y_${label})`),
  );
  expect(['unsat', 'sat']).toContain(await decided(`bias field ${seed}`, model, property));
});
