/**
 * A device whose memory does not hold a population: not made up, but a buffer that a software device refuses.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { initialize } from '../network/initialization.js';
import { reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain } from '../network/network.js';
import { flatten, parameterLayout } from '../network/parameters.js';
import { createObjective } from '../objective/objective.js';
import { createPool, type Pool, type PoolVectors } from '../runtime/pool/pool.js';
import { deriveKey, keyOf } from '../runtime/random/keys.js';
import { deviceForTests } from '../testing/devices.js';
import { uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import { isSoftware } from '../testing/software-device.js';
import { evaluatedBatch, pooledObjective } from './on-batch.js';
import { ResidentObjective } from './resident.js';

const present = await deviceForTests();
const pool = present && isSoftware() ? createPool(1, present) : undefined;
const cpu = createPool(1);
afterAll(() => Promise.all([cpu.close(), pool?.close()]));

// One hidden layer of four members takes 2³⁰ bytes, one more than the software device gives; of two members
// half of that.
const [HIDDEN, IMAGES] = [2048, 2 ** 15];
const network = chain(
  'wide',
  [4, 1, 1],
  [linearLayer([4, 1, 1], HIDDEN), reluLayer([HIDDEN, 1, 1]), linearLayer([HIDDEN, 1, 1], 2)],
);
const layout = parameterLayout(network);
const theta = flatten(initialize(network, 'kaiming', keyOf(0)), layout);
const batch = {
  images: Float32Array.from(uniformNumbers('images', IMAGES * 4)),
  labels: new Int32Array(IMAGES),
};
const scalars = { epsilon: 0, kappa: 0, regularization: 0 };
/** Limits under which more is tried than there is. */
const everything = { memory: 2 ** 40, array: 2 ** 40 };
const perturbations = (count: number) => ({
  keys: Array.from({ length: count }, (_, i) => deriveKey(keyOf(4), i, 0)),
  sigma: 1e-3,
});

describe.skipIf(pool === undefined)('a population that a device’s memory does not hold', () => {
  const vectors = (pool as Pool)?.vectors as PoolVectors;
  const at = (keys: number) => {
    const objective = createObjective({ network, microBatch: IMAGES });
    return new ResidentObjective(pool as Pool, vectors, evaluatedBatch(objective, layout, batch, scalars), {
      ...everything,
      keys,
    });
  };

  it('is evaluated with half as many members, and θ is still there', async () => {
    const kept = await vectors.upload(theta);
    const { plus, minus } = await at(2).pairs(kept, perturbations(2));
    const objective = createObjective({ network, microBatch: IMAGES });
    const expected = await pooledObjective(cpu, objective, layout, batch, scalars).pairs(
      theta,
      perturbations(2),
    );
    expect(distance(plus, expected.plus)).toBeLessThan(1e-5);
    expect(distance(minus, expected.minus)).toBeLessThan(1e-5);
    expect(plus[0]).not.toBe(plus[1]);
    expect(await vectors.read(kept)).toEqual(theta);
  });

  it('is given up in one line where half as many are too many, and θ is still there', async () => {
    const kept = await vectors.upload(theta);
    await expect(at(4).pairs(kept, perturbations(4))).rejects.toThrow(
      /^webgpu: the memory of the device does not suffice for 4 perturbations at once, nor for 2 .*; let programs take less with --memory/,
    );
    expect(await vectors.read(kept)).toEqual(theta);
  });
});
