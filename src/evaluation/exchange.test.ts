import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { relaxations } from '../relaxation/index.js';
import { createPool } from '../runtime/pool/pool.js';
import { type Estimator, pgpe, rgs } from '../smoothing/index.js';
import { firstState, lastState, shortTraining } from '../testing/trainings.js';
import type { TrainingState } from '../training/loop.js';
import type { StepExchange } from '../training/placement/placement.js';
import type { ExchangedTasks } from './exchange.js';

const pool = createPool(1);
afterAll(() => pool.close());

const on = (estimator: unknown, exchange?: StepExchange) => ({
  ...shortTraining({
    pool,
    robust: { relaxation: relaxations.ibp },
    estimator: estimator as Estimator,
    gradientClip: 0.5,
  }),
  ...(exchange && { exchange }),
});

/** Tasks in chunks of some size, computed in some order, some of them twice, as by several processes. */
const shuffled = (size: number, order: readonly number[]): StepExchange => ({
  begin: async () => undefined,
  async values({ count, compute }: ExchangedTasks) {
    const starts = Array.from({ length: Math.ceil(count / size) }, (_, i) => i * size);
    const ranked = starts.map((from, i) => ({ from, rank: order[i % order.length] as number }));
    const found = new Map<number, Uint8Array>();
    for (const { from } of [...ranked, ...ranked.slice(0, 1)].sort((a, b) => a.rank - b.rank))
      found.set(from, await compute(from, Math.min(from + size, count)));
    // As bytes come out of a message: in the middle of a larger buffer.
    const all = Buffer.concat([Buffer.from([7]), ...starts.map((from) => found.get(from) as Uint8Array)]);
    return all.subarray(1);
  },
});

const bitsOf = ({ theta, sums, estimator, rule }: TrainingState) => ({ theta, sums, estimator, rule });

describe('a training whose perturbations several processes evaluate', () => {
  it.each([
    ['PGPE', pgpe({ samples: 5, sigma: 0.02 })],
    ['PGPE with learned σ', pgpe({ samples: 4, sigma: 0.02, sigmaMode: 'layer', sigmaLearningRate: 0.1 })],
    ['PGPE by ranks', pgpe({ samples: 3, sigma: 0.02, shaping: 'centered-rank' })],
    ['PGPE with a control variate', pgpe({ samples: 3, sigma: 0.02, controlVariate: 'gradient' })],
    ['RGS', rgs({ samples: 3, sigma: 0.02, sigmaDecay: 'constant' })],
    ['RGS in pairs, until σ is 0', rgs({ samples: 4, sigma: 0.02, antithetic: true })],
  ])('has the bits of one process, whoever computes what: %s', async (_, estimator) => {
    const expected = bitsOf(await lastState(on(estimator)));
    const cut = fc.record({
      size: fc.integer({ min: 1, max: 5 }),
      order: fc.array(fc.nat(), { minLength: 1 }),
    });
    await fc.assert(
      fc.asyncProperty(cut, async ({ size, order }) => {
        expect(bitsOf(await lastState(on(estimator, shuffled(size, order))))).toEqual(expected);
      }),
      { numRuns: 4 },
    );
  });

  it('tells of each step all that a process needs to go on from there', async () => {
    const estimator = pgpe({ samples: 3, sigma: 0.02, sigmaMode: 'layer', sigmaLearningRate: 0.1 });
    const states: TrainingState[] = [];
    const exchange: StepExchange = {
      ...shuffled(1, [0]),
      begin: async (step, theta, state) => {
        const before = state() as TrainingState;
        expect([before.step, before.theta]).toEqual([step, theta]);
        states.push(structuredClone(before));
      },
    };
    const last = bitsOf(await lastState(on(estimator, exchange)));
    expect(states.map(({ step }) => step)).toEqual([0, 1, 2, 3]);
    expect(states[0]).toEqual(firstState(on(estimator)));
    for (const state of states) expect(bitsOf(await lastState(on(estimator), state))).toEqual(last);
  });
});
