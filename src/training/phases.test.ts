import { afterAll, describe, expect, it } from 'vitest';
import { createObjective } from '../objective/objective.js';
import { interval } from '../relaxation/interval.js';
import { crown } from '../relaxation/linear/crown.js';
import { mixture } from '../relaxation/mixture.js';
import { createPool } from '../runtime/pool/pool.js';
import { smallNetwork } from '../testing/robust-objectives.js';
import { lastState, type ShortTraining, shortTraining } from '../testing/trainings.js';
import { linear } from './schedules.js';

const pool = createPool(1);
afterAll(() => pool.close());
const short = (more: Partial<ShortTraining> = {}) =>
  shortTraining({ pool, robust: { relaxation: interval }, ...more });
const objectiveOf = (relaxation: typeof interval) =>
  createObjective({ network: smallNetwork, microBatch: 2, relaxation });

describe('weight averaging', () => {
  it('takes the ends of epochs from one on, or every so many steps from there', async () => {
    const states: Float32Array[] = [];
    const watch = async ({ state }: { state(): Promise<{ theta: Float32Array }> }) =>
      void states.push((await state()).theta.slice());
    const options = short({ averageFrom: 1, averageEvery: 1 });
    const { average } = await lastState(options, undefined, watch);
    // Two steps an epoch, two epochs: steps 2, 3 and 4.
    expect(average?.count).toBe(3);
    for (const [j, mean] of (average?.theta ?? new Float64Array()).entries())
      expect(mean).toBeCloseTo(
        [1, 2, 3].reduce((sum, k) => sum + (states[k]?.[j] as number) / 3, 0),
        6,
      );
    expect((await lastState(short({ averageFrom: 1 }))).average?.count).toBe(2);
    expect((await lastState(short({ averageFrom: 1, averageEvery: 3 }))).average?.count).toBe(1);
    expect((await lastState(short())).average).toBeUndefined();
  });
});

describe('an objective that changes with the epoch', () => {
  it('is followed from its first step on, and not before', async () => {
    const [loose, tight] = [objectiveOf(interval), objectiveOf(crown)];
    const switched = short({ objectiveAt: (epoch) => (epoch < 1 ? loose : tight) });
    const first = await lastState(short({ epochs: 1 }));
    const whole = await lastState(switched);
    const tightAlone = await lastState(short({ robust: { relaxation: crown } }), { ...first, step: 2 });
    expect(await lastState({ ...switched, epochs: 1 })).toEqual(first);
    expect(whole.theta).toEqual(tightAlone.theta);
    expect(whole.theta).not.toEqual((await lastState(short())).theta);
  });

  it('is told β where it is a mixture', async () => {
    const beta = linear({ start: 0, end: 2, from: 0, to: 1 });
    const seen: (number | undefined)[] = [];
    const options = { ...short({ robust: { relaxation: mixture(interval, crown) } }), beta };
    await lastState(options, undefined, ({ scalars }) => seen.push(scalars.beta));
    expect(seen).toEqual([0, 0.25, 0.5, 0.75]);
    const end = { ...options, beta: () => 1 };
    const [mixed, plain] = [await lastState(end), await lastState(short({ robust: { relaxation: crown } }))];
    for (const [j, value] of mixed.theta.entries()) expect(value).toBeCloseTo(plain.theta[j] as number, 4);
  });
});

describe('clipping', () => {
  it('is told as the share of steps whose gradient was longer', async () => {
    const shareOf = async (gradientClip: number) => {
      const shares: unknown[] = [];
      const options = short({ gradientClip, epochs: 1 });
      await lastState(options, undefined, ({ sums }) => shares.push(sums.metrics.clipped));
      return shares;
    };
    expect(await shareOf(1e-6)).toEqual([4, 8]);
    expect(await shareOf(1e6)).toEqual([0, 0]);
    expect(await shareOf(0)).toEqual([undefined, undefined]);
  });
});
