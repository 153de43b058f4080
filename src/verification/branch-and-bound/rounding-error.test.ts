import { afterAll, expect, it } from 'vitest';
import { input } from '../../graph/index.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, parameterInputs } from '../../network/network.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { errorOf, magnitudes } from './rounding-error.js';

const executor = createExecutor();
afterAll(() => executor.close());

it('the error of a layer is at least (m + 16 + N) 2⁻⁵³ of the sizes of its terms', async () => {
  const [inputs, outputs] = [6, 2];
  const net = chain('one', [inputs, 1, 1], [linearLayer([inputs, 1, 1], outputs)]);
  const box = {
    lower: input('lower', [inputs, 1], 'float64'),
    upper: input('upper', [inputs, 1], 'float64'),
  };
  const sizes = magnitudes(net, parameterInputs(net, 'float64'), box, () => box);
  const error = errorOf(net, sizes, 1, 1);
  error.visit(0, input('a', [outputs, 1], 'float64'));
  const plan = createPlan([{ kind: 'whole', outputs: { total: error.total() } }]);
  const feeds = {
    lower: new Float64Array(inputs).fill(-3),
    upper: new Float64Array(inputs).fill(2),
    a: Float64Array.of(1, -5),
    '0.weight': new Float64Array(inputs * outputs).fill(-4),
    '0.bias': Float64Array.of(7, -7),
  };
  const { total } = (await executor.run(plan, feeds)).outputs as { total: Float64Array };
  const terms = (1 + 5) * (inputs * 4 * 3 + 7);
  expect(total[0]).toBeGreaterThanOrEqual((inputs + 16 + 1) * 2 ** -53 * terms);
  expect(total[0]).toBeLessThan((inputs + 16 + 1) * 2 ** -51 * terms);
});
