import { afterAll, describe, expect, it } from 'vitest';
import { functionObjective } from '../evaluation/function-objective.js';
import { pooledObjective } from '../evaluation/on-batch.js';
import { convolutionLayer } from '../network/layers/convolution.js';
import { type Extents, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain } from '../network/network.js';
import { parameterLayout } from '../network/parameters.js';
import { createObjective } from '../objective/objective.js';
import { relaxations } from '../relaxation/index.js';
import { createPool } from '../runtime/pool/pool.js';
import { keyOf } from '../runtime/random/keys.js';
import { onHost } from '../testing/host-vector.js';
import { normalNumbers, randomLabels, uniformNumbers } from '../testing/numbers.js';
import { smoothedFunctions } from '../testing/smoothed-functions.js';
import { type PgpeOptions, pgpe } from './pgpe.js';

const pool = createPool(1);
afterAll(() => pool.close());

const context = (step: number) => ({ key: keyOf('control'), step, epoch: 0, epochs: 1 });
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const variance = (values: readonly number[]): number =>
  mean(values.map((v) => (v - mean(values)) ** 2)) * (values.length / (values.length - 1));

const VARIATES = ['gradient', 'rgs'] as const;
const cases = VARIATES.flatMap((variate) => smoothedFunctions.map((f) => [variate, f.name, f] as const));

describe('PGPE with a control variate', () => {
  it.each(cases)('%s is unbiased for ∇L_σ of %s', async (controlVariate, _, f) => {
    const [x, sigma, times] = [0.4, 0.5, 4000];
    const objective = functionObjective(
      1,
      ([t]) => f.f(t as number),
      ([t]) => [f.slope(t as number)],
    );
    const estimator = pgpe({ samples: 2, sigma, controlVariate, controlSamples: 2 });
    const made: number[] = [];
    for (let step = 0; step < times; step++) {
      const { gradient } = await estimator.estimate(
        estimator.init(1, []),
        Float32Array.of(x),
        objective,
        context(step),
      );
      made.push(onHost(gradient)[0] as number);
    }
    expect(Math.abs(mean(made) - f.dx(x, sigma))).toBeLessThan(4 * Math.sqrt(variance(made) / times) + 1e-5);
  });

  it('of a linear loss is its gradient, whatever the perturbations', async () => {
    const slope = [3, -1, 2];
    const linear = functionObjective(
      3,
      (x) => x.reduce((sum, value, j) => sum + (slope[j] as number) * value, 0),
      () => slope,
    );
    const estimator = pgpe({ samples: 1, sigma: 0.25, controlVariate: 'gradient' });
    const found = await estimator.estimate(
      estimator.init(3, []),
      Float32Array.of(1, 2, 3),
      linear,
      context(0),
    );
    for (const [j, g] of [...onHost(found.gradient)].entries()) expect(g).toBeCloseTo(slope[j] as number, 4);
    expect(found.metrics.jumps).toBeLessThan(1e-8);
  });

  it('is refused with ranks, which it does not explain', () => {
    expect(() => pgpe({ shaping: 'centered-rank', controlVariate: 'rgs' })).toThrow(
      'expected shaping none with a control variate',
    );
  });
});

const image: Extents = [1, 6, 6];
const first = convolutionLayer(image, { channels: 4, kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] });
const second = convolutionLayer(first.output, {
  channels: 8,
  kernel: [3, 3],
  stride: [1, 1],
  padding: [1, 1, 1, 1],
});
const network = chain('small', image, [
  first,
  reluLayer(first.output),
  second,
  reluLayer(second.output),
  linearLayer(second.output, 4),
]);
const layout = parameterLayout(network);
const size = layout.reduce((sum, { size: n }) => sum + n, 0);
/** As initialisations draw them: N(0, 2/fan-in), biases at zero. */
const theta = Float32Array.from(
  layout.flatMap(({ name, size: n, fanIn }) => {
    const drawn = normalNumbers(name, n);
    return Array.from(drawn, (z) => (name.endsWith('bias') ? 0 : z * Math.sqrt(2 / fanIn)));
  }),
);
const batch = {
  images: Float32Array.from(uniformNumbers('images', 8 * 36)),
  labels: randomLabels('labels', 8, 4),
};
const objectiveOf = (name: keyof typeof relaxations, guide?: keyof typeof relaxations) => {
  const build = (relaxation: keyof typeof relaxations) =>
    createObjective({ network, relaxation: relaxations[relaxation], microBatch: 8 });
  const scalars = { epsilon: 0.02, kappa: 1, regularization: 0 };
  return pooledObjective(pool, build(name), layout, batch, scalars, undefined, {
    guide: guide && build(guide),
  });
};

/** Σ_j of the variance of the estimate of single pairs. */
async function spreadOf(options: PgpeOptions, objective: ReturnType<typeof objectiveOf>, times: number) {
  const estimator = pgpe({ samples: 1, ...options });
  const made: Float32Array[] = [];
  for (let step = 0; step < times; step++) {
    const state = estimator.init(size, layout);
    made.push(onHost((await estimator.estimate(state, theta, objective, context(step))).gradient));
  }
  return theta.reduce((sum, _, j) => sum + variance(made.map((g) => g[j] as number)), 0);
}

describe('the variance of PGPE on a network bounded by CROWN', () => {
  it('falls by the measured factors: 18 and 3 times with the gradient, more with that of RGS', async () => {
    const objective = objectiveOf('crown');
    for (const [sigma, ofGradient, ofRgs] of [
      [0.01, 18, 40],
      [0.05, 3, 6],
    ] as const) {
      const plain = await spreadOf({ sigma }, objective, 60);
      const gradient = await spreadOf({ sigma, controlVariate: 'gradient' }, objective, 60);
      const rgs = await spreadOf({ sigma, controlVariate: 'rgs' }, objective, 60);
      expect(plain / gradient).toBeGreaterThan(ofGradient);
      expect(plain / rgs).toBeGreaterThan(ofRgs);
    }
  });

  it('falls for a bound by a solver with the gradient of CROWN', async () => {
    const objective = objectiveOf('lp', 'crown');
    const plain = await spreadOf({ sigma: 0.02 }, objective, 12);
    const controlled = await spreadOf({ sigma: 0.02, controlVariate: 'gradient' }, objective, 12);
    expect(plain / controlled).toBeGreaterThan(3);
  });
});
