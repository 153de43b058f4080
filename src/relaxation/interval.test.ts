import { expect, test } from 'vitest';
import { input } from '../graph/index.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain } from '../network/network.js';
import { boundProblem, randomBox, runStages } from '../testing/bound-programs.js';
import { normalNumbers, randomLabels } from '../testing/numbers.js';
import { randomParameters } from '../testing/random-networks.js';
import { interval } from './interval.js';

const [INPUTS, BATCH] = [5, 3];

/** Σ_k c_k (W_k x + b_k), at its least over x ∈ [lower, upper]: each input at the end that its factor says. */
function leastOver(
  c: readonly number[],
  { weight, bias }: { weight: Float64Array; bias: Float64Array },
  { lower, upper }: { lower: readonly number[]; upper: readonly number[] },
): number {
  let least = c.reduce((sum, factor, k) => sum + factor * (bias[k] as number), 0);
  for (let i = 0; i < INPUTS; i++) {
    const factor = c.reduce((sum, of, k) => sum + of * (weight[k * INPUTS + i] as number), 0);
    least += factor * ((factor > 0 ? lower : upper)[i] as number);
  }
  return least;
}

// Few classes go by all pairs of them, many and other rows by their own coefficients.
test.each([
  ['labels of few classes', 4, false],
  ['labels of many classes', 23, false],
  ['any rows', 4, true],
] as const)('margins of one linear layer are the least that there are: %s', async (_, classes, ofRows) => {
  const net = chain('linear', [INPUTS, 1, 1], [linearLayer([INPUTS, 1, 1], classes)]);
  const rows = ofRows ? 6 : classes - 1;
  const box = randomBox(classes, INPUTS, BATCH, 0.4);
  const parameters = randomParameters(net, classes);
  const labels = randomLabels(`labels ${classes}`, BATCH, classes);
  const coefficients = normalNumbers('coefficients', classes * rows * BATCH);
  const problem = {
    ...boundProblem(net, BATCH),
    ...(ofRows && {
      specification: {
        kind: 'rows' as const,
        coefficients: input('coefficients', [classes, rows, BATCH], 'float64'),
      },
    }),
  };
  const { margins } = interval.bound(problem);
  const loose = interval.bound({ ...problem, elision: false }).margins;
  const feeds = { ...parameters, ...box, ...(ofRows ? { coefficients } : { labels }) };
  const [result] = await runStages([{ kind: 'whole', outputs: { margins, loose } }], [feeds]);
  const found = result?.outputs as Record<'margins' | 'loose', Float64Array>;
  const [weight, bias] = ['weight', 'bias'].map(
    (what) => parameters[Object.keys(parameters).find((name) => name.endsWith(what)) ?? ''] as Float64Array,
  ) as [Float64Array, Float64Array];
  for (let image = 0; image < BATCH; image++) {
    const column = (of: Float64Array) =>
      Array.from({ length: INPUTS }, (_, i) => of[i * BATCH + image] as number);
    const own = { lower: column(box.lower), upper: column(box.upper) };
    const label = labels[image] as number;
    const others = Array.from({ length: classes }, (_, j) => j).filter((j) => j !== label);
    for (let row = 0; row < rows; row++) {
      const c = Array.from({ length: classes }, (_, k) =>
        ofRows
          ? (coefficients[(k * rows + row) * BATCH + image] as number)
          : Number(k === label) - Number(k === others[row]),
      );
      const least = leastOver(c, { weight, bias }, own);
      expect(found.margins[row * BATCH + image]).toBeCloseTo(least, 10);
      expect(found.loose[row * BATCH + image]).toBeLessThanOrEqual(least + 1e-10);
    }
  }
});
