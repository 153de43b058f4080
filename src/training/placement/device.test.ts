import { afterAll, describe, expect, it } from 'vitest';
import { relaxations } from '../../relaxation/index.js';
import { createPool, type Pool } from '../../runtime/pool/pool.js';
import { type Estimator, pgpe, rgs, type SearchDistribution } from '../../smoothing/index.js';
import { deviceForTests } from '../../testing/devices.js';
import { sigmasOnHost } from '../../testing/host-vector.js';
import { distance } from '../../testing/operator-check.js';
import { firstState, lastState, type ShortTraining, shortTraining } from '../../testing/trainings.js';
import { training } from '../loop.js';
import { type AdamState, adam } from '../rules/adam.js';
import { clipup } from '../rules/clipup.js';
import { sgd } from '../rules/sgd.js';
import type { UpdateRule } from '../rules/update-rule.js';
import { devicePlacement } from './device.js';

const present = await deviceForTests();
const cpu = createPool(1);
const made = present && createPool(1, present);
const device = made as Pool;
afterAll(() => Promise.all([cpu.close(), made?.close()]));

const robust = { relaxation: relaxations.ibp };
const on = (pool: Pool, more: Partial<ShortTraining> = {}) => shortTraining({ pool, robust, ...more });
const learning = (sigmaMode: 'layer' | 'coordinate') =>
  pgpe({
    samples: 3,
    sigma: 0.02,
    sigmaMode,
    sigmaLearningRate: 0.1,
    sigmaDecay: { shape: 'linear', final: 0.5 },
  }) as Estimator;

describe.skipIf(!made?.vectors)(
  `a training whose θ stays on ${present}`,
  () => {
    it.each<[string, Partial<ShortTraining>]>([
      ['GRAD, with clipped gradients', { gradientClip: 0.5 }],
      [
        'RGS, with momentum',
        {
          estimator: rgs({ samples: 2, sigma: 0.02 }) as Estimator,
          rule: sgd({ momentum: 0.9, nesterov: true }) as UpdateRule,
        },
      ],
      [
        'PGPE with a learned σ of each layer, with ClipUp',
        { estimator: learning('layer'), rule: clipup() as UpdateRule },
      ],
      ['PGPE with a learned σ of each coordinate', { estimator: learning('coordinate') }],
    ])('follows the trajectory that it has on the CPU, to rounding: %s', async (_, more) => {
      expect(devicePlacement(on(device, more))).toBeDefined();
      const options = { ...more, averageFrom: 1 };
      const [expected, got] = [await lastState(on(cpu, options)), await lastState(on(device, options))];
      expect(distance(got.theta, expected.theta)).toBeLessThan(2e-5);
      expect(distance(got.theta, firstState(on(cpu)).theta)).toBeGreaterThan(4e-4);
      expect(
        distance(got.average?.theta as Float64Array, expected.average?.theta as Float64Array),
      ).toBeLessThan(1e-4);
      expect(Object.keys(got.rule as object)).toEqual(Object.keys(expected.rule as object));
      const sigma = ({ estimator }: typeof got) => (estimator as SearchDistribution | null)?.sigma;
      if (sigma(expected)) {
        expect(sigma(got)).toBeInstanceOf(Float64Array);
        expect(distance(sigma(got) as Float64Array, sigma(expected) as Float64Array)).toBeLessThan(1e-6);
        expect(sigmasOnHost(sigma(got)).some((value) => Math.abs(value - 0.02) > 1e-5)).toBe(true);
      }
      expect(got.sums.loss).toBeCloseTo(expected.sums.loss, 3);
    });

    it('goes on from a state of the CPU, and the CPU from its own', async () => {
      const half = await lastState(on(cpu, { epochs: 1 }));
      const [expected, there] = [await lastState(on(cpu), half), await lastState(on(device), half)];
      expect(distance(there.theta, expected.theta)).toBeLessThan(1e-4);
      expect((there.rule as AdamState).step).toBe((expected.rule as AdamState).step);
      const back = await lastState(on(cpu), await lastState(on(device, { epochs: 1 })));
      expect(distance(back.theta, expected.theta)).toBeLessThan(1e-4);
    });

    it.each([
      ['GRAD', undefined],
      ['RGS', rgs({ samples: 2, sigma: 0.02, sigmaDecay: 'constant' }) as Estimator],
      ['PGPE with a learned σ of each layer', learning('layer')],
      ['PGPE with a learned σ of each coordinate', learning('coordinate')],
    ])('moves no vector as long as θ in a step, neither there nor back: %s', async (_, estimator) => {
      const parameters = 4 * firstState(on(cpu)).theta.length;
      const options = on(device, { estimator, epochs: 3 });
      const moved: { up: number; down: number }[] = [];
      let last = device.movedBytes();
      // Reports are not asked for their state: that would bring it here.
      for await (const { onHost } of training(options, firstState(options))) {
        expect(onHost).toBe(false);
        const now = device.movedBytes();
        moved.push({ up: now.up - last.up, down: now.down - last.down });
        last = now;
      }
      // The first step opens programs and their arrays.
      const batch = 4 * (4 * 16 + 4 + 4);
      const keys = 3 * 8 + 3 * 4 * 2 + 4 * 4;
      for (const { up, down } of moved.slice(1)) {
        // Loss, its parts and counts of each point.
        expect(down).toBeLessThan(300);
        expect(up).toBeLessThan(batch + keys + 100);
      }
      expect(parameters).toBeGreaterThan(500);
    });

    it('is stopped where its gradient is not a number any more', async () => {
      const options = on(device);
      const from = firstState(options);
      const theta = from.theta.slice();
      theta[3] = Number.NaN;
      await expect(lastState(options, { ...from, theta })).rejects.toThrow(/training diverged at step 0/);
    });
  },
  300_000,
);

describe('a training is the host’s', () => {
  it('on the CPU, where a solver has a part in its bounds, and with a rule that is no graph', () => {
    expect(devicePlacement(on(cpu))).toBeUndefined();
    if (made?.vectors === undefined) return;
    expect(devicePlacement(on(device, { robust: { relaxation: relaxations.lp } }))).toBeUndefined();
    const { graph: _, ...rule } = adam();
    expect(devicePlacement(on(device, { rule: rule as UpdateRule }))).toBeUndefined();
    expect(devicePlacement(on(device))).toBeDefined();
  });
});
