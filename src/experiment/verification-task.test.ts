import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeOnnx } from '../formats/onnx.js';
import { createPool } from '../runtime/pool/pool.js';
import { latticeModel, latticeValue, randomLattice } from '../testing/lattice-networks.js';
import { integers, model, op } from '../testing/onnx-models.js';
import { createContext } from '../verification/proof/context.js';
import { type Polytope, violation } from '../verification/property/property.js';
import { attackPolytopes } from '../verification/search/property-attack.js';
import { verify } from '../verification/search/verify.js';
import { readVerification, readVerificationTask, verifyTask } from './verification-task.js';

const instances = fileURLToPath(new URL('../../../shared/vnncomp2022', import.meta.url));
describe.skipIf(!existsSync(instances))('instances of the verification competition', () => {
  const pool = createPool(2);
  afterAll(() => pool.close());

  test.each([
    ['acasxu/ACASXU_run2a_1_3_batch_2000.onnx', 'acasxu/prop_2.vnnlib'],
    ['acasxu/ACASXU_run2a_1_9_batch_2000.onnx', 'acasxu/prop_4.vnnlib'],
    ['mnist_fc/mnist-net_256x2.onnx', 'mnist_fc/prop_1_0.05.vnnlib'],
    ['rl_benchmarks/cartpole.onnx', 'rl_benchmarks/cartpole_case_unsafe_44.vnnlib'],
  ])('a counterexample to %s, %s is found', async (modelPath, propertyPath) => {
    const task = await readVerificationTask(join(instances, modelPath), join(instances, propertyPath));
    try {
      const attacked = createContext({ ...task, pool, evaluate: (x) => task.model.run(x) });
      const { polytopes } = task.property;
      let found = await attackPolytopes(attacked, polytopes, {});
      for (let round = 1; round < 5 && found === undefined; round++)
        found = await attackPolytopes(attacked, polytopes, { round });
      expect(found).toBeDefined();
      const { polytope, input, output } = found as NonNullable<typeof found>;
      expect(violation(polytopes[polytope] as Polytope, input, output)).toBeLessThanOrEqual(0);
      expect(Array.from(output)).toEqual(Array.from(await task.model.run(Float32Array.from(input))));
    } finally {
      await task.model.close();
    }
  });

  test.each([
    ['mnist_fc/mnist-net_256x2.onnx', 'mnist_fc/prop_0_0.03.vnnlib'],
    ['rl_benchmarks/cartpole.onnx', 'rl_benchmarks/cartpole_case_safe_80.vnnlib'],
  ])('%s, %s is proved', async (modelPath, propertyPath) => {
    const task = await readVerificationTask(join(instances, modelPath), join(instances, propertyPath));
    try {
      expect(await verify({ ...task, pool, evaluate: (x) => task.model.run(x) })).toMatchObject({
        verdict: 'unsat',
      });
    } finally {
      await task.model.close();
    }
  });
});

describe('a two-level lattice', () => {
  const pool = createPool(2);
  afterAll(() => pool.close());

  test.each([false, true])(
    'is decided beside its maximum, by distinct neurons (float64: %s)',
    async (double) => {
      const folder = await mkdtemp(join(tmpdir(), 'tautnet-lattice-'));
      const lattice = randomLattice('task', 8, 2, double);
      const [steps, places] = [200, Array.from({ length: 201 }, (_, i) => i / 100 - 1)];
      const largest = Math.max(...places.flatMap((x) => places.map((y) => latticeValue(lattice, [x, y]))));
      // No point is further from the grid than a step.
      const beyond =
        Math.max(...lattice.slopes.map((row) => row.reduce((sum, s) => sum + Math.abs(s), 0))) / steps;
      const model = join(folder, 'lattice.onnx');
      await writeFile(model, encodeOnnx(latticeModel(lattice, double)));
      for (const [threshold, verdict] of [
        [largest - 1e-3, 'sat'],
        [largest + beyond + 1e-3, 'unsat'],
      ] as const) {
        const property = join(folder, 'property.vnnlib');
        const declared = ['X_0', 'X_1', 'Y_0'].map((name) => `(declare-const ${name} Real)`);
        const box = ['X_0', 'X_1'].map((name) => `(assert (and (>= ${name} -1) (<= ${name} 1)))`);
        await writeFile(property, [...declared, ...box, `(assert (>= Y_0 ${threshold}))`].join('\n'));
        const task = await readVerificationTask(model, property);
        const whole = await readVerificationTask(model, property, { distinct: false });
        const neurons = ({ network: { nodes } }: typeof task) =>
          nodes.reduce((sum, { layer }) => sum + (layer.kind === 'relu' ? layer.output[0] : 0), 0);
        expect(neurons(task)).toBeLessThan(neurons(whole) / 4);
        await whole.model.close();
        const found = await verifyTask(task, { pool, timeoutSeconds: 60 });
        await task.model.close();
        expect(found.verdict).toBe(verdict);
      }
      await rm(folder, { recursive: true });
    },
  );
});

describe('a file that is no network, but that ONNX Runtime runs', () => {
  /** y_0 = sin x_0 · x_1 and y_1 = x_0 x_1, an unsupported operator and a product that nothing fixes. */
  const file = encodeOnnx(
    model({
      input: ['batch', 2],
      nodes: [
        op('Gather', ['x', 'first'], 'a', { axis: { int: 1 } }),
        op('Gather', ['x', 'second'], 'b', { axis: { int: 1 } }),
        op('Sin', ['a'], 's'),
        op('Mul', ['s', 'b'], 'p'),
        op('Mul', ['a', 'b'], 'q'),
        op('Concat', ['p', 'q'], 'y', { axis: { int: 1 } }),
      ],
      constants: [integers('first', [0]), integers('second', [1])],
    }),
  );
  const asked = (assertion: string) =>
    '(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)' +
    '(assert (and (>= X_0 0) (<= X_0 2) (>= X_1 -1) (<= X_1 1)))' +
    `(assert ${assertion})`;

  test.each([
    ['(and (>= Y_0 0.5) (<= Y_1 1.9))', 'sat'],
    ['(>= Y_0 1.1)', 'unknown'],
  ] as const)(
    '%s is %s',
    async (assertion, verdict) => {
      const folder = await mkdtemp(join(tmpdir(), 'tautnet-task-'));
      const [network, property] = [join(folder, 'f.onnx'), join(folder, 'p.vnnlib')];
      await writeFile(network, file);
      await writeFile(property, asked(assertion));
      await expect(readVerificationTask(network, property)).rejects.toThrow(/Sin .*not supported/);
      const task = await readVerification(network, property);
      try {
        const found = await verifyTask(task, { timeoutSeconds: 30, threads: 1 });
        expect(found.verdict).toBe(verdict);
        if (verdict === 'unknown') expect(found.reason).toMatch(/Sin .*attacked alone/);
        else expect(found.counterexample?.output[0]).toBeGreaterThanOrEqual(0.5);
      } finally {
        await task.model.close();
        await rm(folder, { recursive: true });
      }
    },
    60_000,
  );
});
