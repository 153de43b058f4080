import { describe, expect, it } from 'vitest';
import { keyOf, uniforms } from '../runtime/random/keys.js';
import { type Estimator, functionObjective, none, pgpe } from '../smoothing/index.js';
import { onHost } from '../testing/host-vector.js';
import { adam } from './rules/adam.js';
import { clipup } from './rules/clipup.js';
import type { UpdateRule } from './rules/update-rule.js';
import { cosine } from './schedules.js';

const target = [0.7, -1.3, 2.2, -0.4, 1.6];
const start = new Float32Array(target.length);
const staircase = (theta: Float32Array): number =>
  target.reduce((sum, t, j) => sum + Math.floor(4 * Math.abs((theta[j] as number) - t)) / 4, 0);

/**
 * A staircase, flat almost everywhere, seen through noise as of a batch: every evaluation is off by up to
 * ±0.1.
 */
function noisyStaircase() {
  const noise = new Float32Array(200_000);
  uniforms(keyOf('noise'), noise);
  let evaluations = 0;
  return functionObjective(
    target.length,
    (theta) => staircase(theta) + 0.2 * ((noise[evaluations++] as number) - 0.5),
    () => target.map(() => 0),
  );
}

/** The staircase's height where training ends. */
async function descend<S, R>(estimator: Estimator<S>, rule: UpdateRule<R>, from: number): Promise<number> {
  const objective = noisyStaircase();
  const rate = cosine({ start: 0, end: 150, from, to: from / 20 });
  let theta: Float32Array = start;
  let search = estimator.init(theta.length, [{ offset: 0, size: theta.length }]);
  let state = rule.init(theta.length);
  for (let step = 0; step < 150; step++) {
    const estimate = await estimator.estimate(search, theta, objective, {
      key: keyOf('descent'),
      step,
      epoch: step,
      epochs: 150,
    });
    search = estimate.state;
    ({ state, theta } = rule.update(state, theta, onHost(estimate.gradient), rate(step)));
  }
  return staircase(theta);
}

describe('PGPE descends a noisy staircase, where GRAD cannot move', () => {
  it.each([
    ['Adam, one σ', { sigmaMode: 'global' }, adam(), 0.1],
    [
      'Adam, a learned σ per coordinate',
      { sigmaMode: 'coordinate', sigmaLearningRate: 0.1, sigmaMin: 0.4 },
      adam(),
      0.1,
    ],
    ['ClipUp, centred ranks', { shaping: 'centered-rank' }, clipup(), 0.15],
  ] as const)('with %s', async (_, options, rule, rate) => {
    expect(staircase(start)).toBeGreaterThan(5);
    expect(
      await descend(pgpe({ samples: 16, sigma: 0.3, ...options }), rule as UpdateRule, rate),
    ).toBeLessThanOrEqual(0.25);
  });

  it('with GRAD stays where it began', async () => {
    expect(await descend(none(), adam(), 0.1)).toBe(staircase(start));
  });
});
