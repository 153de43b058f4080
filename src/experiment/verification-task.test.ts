import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createPool } from '../runtime/pool/pool.js';
import { createContext } from '../verification/proof/context.js';
import { type Polytope, violation } from '../verification/property/property.js';
import { attackPolytopes } from '../verification/search/property-attack.js';
import { verify } from '../verification/search/verify.js';
import { readVerificationTask } from './verification-task.js';

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
