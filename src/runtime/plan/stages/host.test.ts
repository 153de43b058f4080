import { afterAll, describe, expect, it } from 'vitest';
import { add, input, mul, total } from '../../../graph/index.js';
import { createExecutor } from '../../execution/executor.js';
import { createPool } from '../../pool/pool.js';
import { createPlan } from '../compile.js';
import type { Stage } from '../plan.js';
import type { HostStage } from './host.js';

const moduleOf = (body: string): string =>
  `data:text/javascript,${encodeURIComponent(`export const solve = async (inputs, options) => { ${body} };`)}`;

const x = input('x', [3], 'float32');
const y = input('y', [3], 'float32');
const scaled: HostStage = {
  kind: 'host',
  module: moduleOf('return { y: inputs.x.map((v) => options.factor * v) };'),
  inputs: { x: add(x, 1) },
  options: { factor: 10 },
  outputs: { y: { shape: [3], dtype: 'float32' } },
};
const after: Stage = { kind: 'whole', outputs: { loss: total(mul(y, y)), sum: add(x, y) } };
const feeds = { x: Float32Array.of(1, 2, -3) };

const executor = createExecutor();
afterAll(() => executor.close());

describe('a host stage', () => {
  it('takes arrays that a graph makes, and its arrays are inputs of later graphs', async () => {
    const { outputs } = await executor.run(createPlan([scaled, after]), feeds);
    expect(outputs.sum).toEqual(Float32Array.of(21, 32, -23));
    expect(outputs.loss).toEqual(Float32Array.of(400 + 900 + 400));
  });

  it('runs in worker threads, whose errors arrive', async () => {
    const pool = createPool(2);
    const failing = {
      ...scaled,
      module: moduleOf('throw new Error("no solution for " + options.factor * inputs.x[0]);'),
    };
    const plan = createPlan([failing, after]);
    const run = (first: number) =>
      pool.run({ plan, feeds: { x: Float32Array.of(first, 0, 0) }, theta: new Float32Array(0), layout: [] });
    try {
      const results = await Promise.allSettled([1, 2, 3].map(run));
      expect(
        results.map((result) => (result.status === 'rejected' ? result.reason.message : 'an answer')),
      ).toEqual([20, 30, 40].map((value) => `no solution for ${value}`));
    } finally {
      await pool.close();
    }
  });

  it('lets others differentiate around it, and refuses to be differentiated through', async () => {
    const w = input('w', [3], 'float32');
    const loss: Stage = { kind: 'whole', outputs: { loss: total(mul(y, w)) } };
    const { gradients } = await executor.run(createPlan([scaled, loss], ['w']), {
      ...feeds,
      w: Float32Array.of(1, 1, 1),
    });
    expect(gradients[0]).toEqual(Float32Array.of(20, 30, -20));
    expect(() => createPlan([scaled, after], ['x'])).toThrow(
      /^plan: expected values only, got a derivative by x: y come.* use an estimator that needs values only$/,
    );
  });

  it('ends in one line when its solver fails or gives something else', async () => {
    const failing = { ...scaled, module: moduleOf('throw new Error("no solution; give it more time");') };
    await expect(executor.run(createPlan([failing, after]), feeds)).rejects.toThrow(
      /^no solution; give it more time$/,
    );
    const short = { ...scaled, module: moduleOf('return { y: [1, 2] };') };
    await expect(executor.run(createPlan([short, after]), feeds)).rejects.toThrow(
      /^plan: expected 3 values of y from the solver, got 2$/,
    );
  });
});
