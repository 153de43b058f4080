import { describe, expect, it } from 'vitest';
import { functionObjective } from '../evaluation/function-objective.js';
import { keyOf } from '../runtime/random/keys.js';
import { onHost } from '../testing/host-vector.js';
import { smoothedFunctions } from '../testing/smoothed-functions.js';
import type { EstimateContext } from './estimator.js';
import { type RgsOptions, rgs } from './rgs.js';

const context = (step: number): EstimateContext => ({ key: keyOf('unbiased'), step, epoch: 0, epochs: 100 });
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const variance = (values: readonly number[]): number =>
  mean(values.map((v) => (v - mean(values)) ** 2)) * (values.length / (values.length - 1));

const objectiveOf = ({ f, slope }: (typeof smoothedFunctions)[number]) =>
  functionObjective(
    1,
    ([x]) => f(x as number),
    ([x]) => [slope(x as number)],
  );
/** Estimates at x, many times over. */
const estimates = (
  options: RgsOptions,
  objective: ReturnType<typeof functionObjective>,
  x: number,
  times: number,
) =>
  Promise.all(
    Array.from({ length: times }, (_, step) =>
      rgs(options).estimate(null, Float32Array.of(x), objective, context(step)),
    ),
  );
const slopes = (made: Awaited<ReturnType<typeof estimates>>): number[] =>
  made.map(({ gradient }) => onHost(gradient)[0] as number);

const cases = smoothedFunctions.flatMap((f) =>
  [false, true].map((antithetic) => [f.name, antithetic, f] as const),
);

describe('unbiased RGS', () => {
  it.each(cases)('is ∇L_σ of %s, jumps and all, antithetic: %s', async (_, antithetic, f) => {
    const [x, sigma, times] = [0.4, 0.5, 4000];
    const options = { samples: 4, sigma, antithetic, unbiased: true };
    const made = slopes(await estimates(options, objectiveOf(f), x, times));
    expect(Math.abs(mean(made) - f.dx(x, sigma))).toBeLessThan(4 * Math.sqrt(variance(made) / times) + 1e-5);
  });

  it('says that all of a step’s variation is jumps, and none of a line’s', async () => {
    const jumps = async (name: string, antithetic: boolean) => {
      const f = smoothedFunctions.find((each) => each.name === name) as (typeof smoothedFunctions)[number];
      const [made] = await estimates(
        { samples: 16, sigma: 0.5, antithetic, unbiased: true },
        objectiveOf(f),
        0.1,
        1,
      );
      return made?.metrics.jumps;
    };
    expect(await jumps('the step 1[x > 0]', false)).toBe(1);
    // Antithetic gradients of a quadratic are all the same, and explain it.
    expect(await jumps('x²', true)).toBeLessThan(1e-6);
  });

  it('asks for one forward pass a sample more, and for none with antithetic pairs', async () => {
    let [values, gradients] = [0, 0];
    const counting = functionObjective(
      1,
      () => {
        values++;
        return 0;
      },
      () => {
        gradients++;
        return [0];
      },
    );
    const asked = async (antithetic: boolean) => {
      [values, gradients] = [0, 0];
      await estimates({ samples: 4, sigma: 0.1, antithetic, unbiased: true }, counting, 0, 1);
      // Each gradient here asks for its loss as well.
      return [gradients, values - gradients];
    };
    expect(await asked(false)).toEqual([4, 4]);
    expect(await asked(true)).toEqual([4, 0]);
  });
});

describe('antithetic RGS', () => {
  it('is the gradient of a quadratic to the digit, where independent samples scatter', async () => {
    const quadratic = functionObjective(
      1,
      ([x]) => (x as number) ** 2,
      ([x]) => [2 * (x as number)],
    );
    const paired = slopes(await estimates({ samples: 2, sigma: 0.5, antithetic: true }, quadratic, 0.3, 50));
    const single = slopes(await estimates({ samples: 2, sigma: 0.5 }, quadratic, 0.3, 50));
    for (const g of paired) expect(g).toBeCloseTo(0.6, 5);
    expect(variance(single)).toBeGreaterThan(0.1);
  });

  it('stays unbiased for a smooth loss, E cos(x + σz) = e^{−σ²/2} cos x, and varies less', async () => {
    const smooth = functionObjective(
      1,
      ([x]) => Math.sin(x as number),
      ([x]) => [Math.cos(x as number)],
    );
    const of = async (antithetic: boolean) =>
      slopes(await estimates({ samples: 2, sigma: 0.5, antithetic }, smooth, 0.8, 4000));
    const [paired, single] = [await of(true), await of(false)];
    const truth = Math.exp(-0.125) * Math.cos(0.8);
    expect(Math.abs(mean(paired) - truth)).toBeLessThan(4 * Math.sqrt(variance(paired) / 4000));
    expect(variance(paired)).toBeLessThan(variance(single) / 3);
  });

  it.each([
    [{ samples: 3, antithetic: true }, 'expected an even number of samples for antithetic pairs'],
    [{ samples: 1, unbiased: true }, 'expected at least two perturbations for the unbiased estimate'],
    [{ samples: 2, unbiased: true, antithetic: true }, 'samples 2, or 4 with antithetic pairs'],
    [{ unbiased: true, perturbed: 'weights' as const }, 'expected all parameters perturbed'],
  ])('%j is refused', (options, message) => {
    expect(() => rgs(options)).toThrow(message);
  });
});
