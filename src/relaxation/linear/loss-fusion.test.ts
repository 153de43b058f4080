import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constant, evaluate, gradient, input, neg, type Tensor, total } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { logits, type Network, parameterInputs } from '../../network/network.js';
import { crossEntropy, marginCrossEntropy } from '../../objective/losses.js';
import { createObjective } from '../../objective/objective.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { anyNetworks, BATCH, caseFeeds, marginsOf } from '../../testing/bound-cases.js';
import { boundProblem, type Feeds, runStages } from '../../testing/bound-programs.js';
import { expectGradients } from '../../testing/gradient-property.js';
import { randomLabels, uniformNumbers } from '../../testing/numbers.js';
import { denseNetworks, randomParameters } from '../../testing/random-networks.js';
import { sampleActivations } from '../../testing/sampled-activations.js';
import { interval } from '../interval.js';
import { specificationMargins } from '../relaxation.js';
import { crownIbp } from './crown-ibp.js';
import { chordSlope, fusedCrownIbp } from './loss-fusion.js';

const fusedProgram = (net: Network) => {
  const { loss, margins } = fusedCrownIbp(boundProblem(net, BATCH));
  return [{ kind: 'whole', outputs: { losses: loss, margins } }] as const;
};
const fusedLosses = async (net: Network, feeds: Feeds): Promise<Float64Array> =>
  (await runStages(fusedProgram(net), [feeds]))[0]?.outputs.losses as Float64Array;

/**
 * Greatest cross-entropy met at corners and inner points of each image's box, and after sign steps along its
 * gradient.
 */
async function metLosses(
  net: Network,
  feeds: Feeds,
  seed: number,
  samples = 200,
  steps = 4,
): Promise<Float64Array> {
  const [lower, upper, labels] = [
    feeds.lower as Float64Array,
    feeds.upper as Float64Array,
    feeds.labels as Int32Array,
  ];
  const columns = BATCH * samples;
  const x = input('x', [featuresOf(net.input), columns], 'float64');
  const losses = crossEntropy(
    logits(net, parameterInputs(net, 'float64'), x),
    input('labels', [columns], 'int32'),
  );
  const [slope] = gradient(total(losses), [x]) as [Tensor];
  const plan = createPlan([{ kind: 'whole', outputs: { losses, slope } }]);
  const met = new Float64Array(BATCH).fill(Number.NEGATIVE_INFINITY);
  let points = uniformNumbers(`points ${seed}`, lower.length * samples).map((u, i) => {
    const at = Math.floor(i / samples);
    return (
      (lower[at] as number) +
      (i % 2 === 0 ? u : Math.round(u)) * ((upper[at] as number) - (lower[at] as number))
    );
  });
  const executor = createExecutor();
  try {
    for (let step = 0; step <= steps; step++) {
      const repeated = Int32Array.from(
        { length: columns },
        (_, i) => labels[Math.floor(i / samples)] as number,
      );
      const made = (await executor.run(plan, { ...feeds, x: points, labels: repeated })).outputs as Record<
        string,
        Float64Array
      >;
      made.losses?.forEach((loss, i) => {
        met[Math.floor(i / samples)] = Math.max(met[Math.floor(i / samples)] as number, loss);
      });
      points = points.map((p, i) => {
        const [l, u] = [lower[Math.floor(i / samples)] as number, upper[Math.floor(i / samples)] as number];
        return Math.min(u, Math.max(l, p + 2 ** -step * (u - l) * Math.sign(made.slope?.[i] as number)));
      });
    }
  } finally {
    await executor.close();
  }
  return met;
}

/**
 * The definition, step by step: IBP's intervals of z, chords by hand, then CROWN-IBP's bound of the rows Σ
 * s_j (e_y − e_j).
 */
async function plainLosses(net: Network, feeds: Feeds): Promise<number[]> {
  const problem = boundProblem(net, BATCH);
  const rows = specificationMargins(problem.specification, net.classes, 'float64');
  const [classes, count] = rows.shape as [number, number];
  const negated = interval.bound({
    ...problem,
    specification: { kind: 'rows', coefficients: neg(rows) },
  }).margins;
  const [bounds] = await runStages(
    [{ kind: 'whole', outputs: { rows, least: interval.bound(problem).margins, greatest: negated } }],
    [feeds],
  );
  const made = bounds?.outputs as Record<string, Float64Array>;
  const coefficients = new Float64Array(classes * BATCH);
  const constants = new Float64Array(BATCH).fill(1);
  for (let i = 0; i < BATCH; i++)
    for (let j = 0; j < count; j++) {
      const [l, u] = [made.greatest?.[j * BATCH + i] as number, -(made.least?.[j * BATCH + i] as number)];
      const s = u > l ? (Math.exp(u) * -Math.expm1(l - u)) / (u - l) : Math.exp(u);
      constants[i] = (constants[i] as number) + Math.exp(u) - s * u;
      for (let c = 0; c < classes; c++)
        coefficients[c * BATCH + i] =
          (coefficients[c * BATCH + i] as number) + s * (made.rows?.[(c * count + j) * BATCH + i] as number);
    }
  const { margins } = crownIbp.bound({
    ...problem,
    specification: { kind: 'rows', coefficients: input('coefficients', [classes, 1, BATCH], 'float64') },
  });
  const [least] = await runStages([{ kind: 'whole', outputs: { margins } }], [{ ...feeds, coefficients }]);
  return Array.from(constants, (t, i) => Math.log(t - (least?.outputs.margins?.[i] as number)));
}

const epsilons = fc.constantFrom(0.003, 0.03, 0.2);

describe('the fused bound of the robust loss', () => {
  it('is at least every cross-entropy met in the box', async () => {
    let positive = 0;
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(), epsilons, async (net, seed, epsilon) => {
        const feeds = caseFeeds(net, seed, epsilon);
        const [bounds, met] = [await fusedLosses(net, feeds), await metLosses(net, feeds, seed)];
        for (const [i, bound] of bounds.entries())
          expect(bound).toBeGreaterThan((met[i] as number) - 1e-9 * (1 + (met[i] as number)));
        if (bounds.some((bound) => bound < Math.log(2))) positive++;
      }),
      { numRuns: 20 },
    );
    expect(positive).toBeGreaterThan(0); // low enough to prove something
  });

  it('is its definition: chords over IBP’s intervals, one row of CROWN-IBP', async () => {
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(), epsilons, async (net, seed, epsilon) => {
        const feeds = caseFeeds(net, seed, epsilon);
        const expected = await plainLosses(net, feeds);
        for (const [i, loss] of (await fusedLosses(net, feeds)).entries())
          expect(Math.abs(loss - (expected[i] as number))).toBeLessThan(1e-9 * (1 + loss));
      }),
      { numRuns: 12 },
    );
  });

  it('is the cross-entropy itself in a single point, as without fusion', async () => {
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(), async (net, seed) => {
        const feeds = caseFeeds(net, seed, 0);
        const margins = await marginsOf(crownIbp, net, feeds);
        const [unfused] = evaluate(
          [marginCrossEntropy(constant(margins, [net.classes - 1, BATCH], 'float64'))],
          {},
        ) as [Float64Array];
        for (const [i, loss] of (await fusedLosses(net, feeds)).entries())
          expect(Math.abs(loss - (unfused[i] as number))).toBeLessThan(1e-12 * (1 + loss));
      }),
      { numRuns: 8 },
    );
  });

  it('stays finite in float32 where exp of the margins would not, with a finite gradient', async () => {
    await fc.assert(
      fc.asyncProperty(denseNetworks, fc.nat(), fc.constantFrom(30, 1000), async (net, seed, scale) => {
        const feeds = caseFeeds(net, seed, 0.3);
        const parameters = Object.keys(randomParameters(net, seed));
        const single = Object.fromEntries(
          Object.entries(feeds).map(([name, values]) => [
            name,
            name === 'labels'
              ? values
              : Float32Array.from(values as Float64Array, (v) =>
                  parameters.includes(name) ? scale ** (2 / parameters.length) * v : v,
                ),
          ]),
        );
        const { loss } = fusedCrownIbp(boundProblem(net, BATCH, 'float32'));
        const [result] = await runStages(
          [{ kind: 'whole', outputs: { loss: total(loss) } }],
          [single as Feeds],
          parameters,
        );
        expect(
          [...(result?.outputs.loss ?? []), ...(result?.gradients ?? []).flatMap((g) => [...g])].every(
            Number.isFinite,
          ),
        ).toBe(true);
      }),
      { numRuns: 10 },
    );
  });

  it('has the gradient that its values show', () =>
    expectGradients(
      anyNetworks,
      (net) => [{ kind: 'whole', outputs: { loss: total(fusedCrownIbp(boundProblem(net, BATCH)).loss) } }],
      { numRuns: 10, epsilons },
    ));
});

describe('the slope of the chord', () => {
  it('is (1 − exp(−d))/d and never above it, with its derivative, from 0 on', () => {
    const widths = [0, 1e-12, 1e-6, 1e-3, 0.05, 0.0999, 0.1001, 1, 30, 800];
    const d = input('d', [widths.length], 'float64');
    const value = chordSlope(d);
    const [values, slopes] = evaluate([value, gradient(total(value), [d])[0] as Tensor], { d: widths }) as [
      Float64Array,
      Float64Array,
    ];
    widths.forEach((w, i) => {
      const exact = w === 0 ? 1 : -Math.expm1(-w) / w;
      expect(Math.abs((values[i] as number) - exact)).toBeLessThan(2e-10);
      expect(values[i] as number).toBeLessThan(exact + 1e-14);
      const slope = w < 1e-2 ? -1 / 2 + w / 3 - (w * w) / 8 : (Math.exp(-w) * w + Math.expm1(-w)) / (w * w);
      expect(Math.abs((slopes[i] as number) - slope)).toBeLessThan(1e-7);
    });
  });
});

describe('an objective with loss fusion', () => {
  const run = async (plan: Plan, feeds: Feeds) => {
    const executor = createExecutor();
    try {
      return await executor.run(plan, feeds);
    } finally {
      await executor.close();
    }
  };

  it('weighs fused losses, and counts as certified only what is', async () => {
    let certified = 0;
    await fc.assert(
      fc.asyncProperty(denseNetworks, fc.nat(), fc.constantFrom(0.001, 0.03), async (net, seed, epsilon) => {
        const objective = createObjective({
          network: net,
          relaxation: crownIbp,
          lossFusion: true,
          microBatch: BATCH,
          natural: 'none',
          dtype: 'float64',
        });
        const images = uniformNumbers(`images ${seed}`, BATCH * featuresOf(net.input));
        const feeds = {
          ...randomParameters(net, seed),
          labels: randomLabels(`labels ${seed}`, BATCH, net.classes),
        };
        const made = await run(objective.gradient as Plan, {
          ...feeds,
          images,
          weight: Float64Array.of(0.25, 0.5),
          epsilon: Float64Array.of(epsilon),
        });
        const column = (cut: (v: number) => number) =>
          Float64Array.from(images, (_, i) =>
            cut(images[(i % BATCH) * (images.length / BATCH) + Math.floor(i / BATCH)] as number),
          );
        const box = {
          lower: column((v) => Math.max(0, v - epsilon)),
          upper: column((v) => Math.min(1, v + epsilon)),
        };
        const losses = await fusedLosses(net, { ...feeds, ...box });
        expect(
          Math.abs(
            (made.outputs.loss?.[0] as number) - 0.25 * (losses[0] as number) - 0.5 * (losses[1] as number),
          ),
        ).toBeLessThan(1e-9);
        const bound = await marginsOf(interval, net, { ...feeds, ...box });
        const proved = [0, 1].filter(
          (i) => bound.every((m, k) => k % BATCH !== i || m > 0) || (losses[i] as number) < Math.log(2),
        );
        expect(made.outputs.certified?.[0]).toBe(proved.length);
        const met = (await sampleActivations(net, { ...feeds, ...box }, 50, 2, seed)).margins.least;
        for (const i of proved) expect(met.every((m, k) => k % BATCH !== i || m > 0)).toBe(true);
        certified += proved.length;
      }),
      { numRuns: 8 },
    );
    expect(certified).toBeGreaterThan(0);
  });

  it('is refused for relaxations that have none', () => {
    const net = fc.sample(denseNetworks, 1)[0] as Network;
    expect(() =>
      createObjective({ network: net, relaxation: interval, lossFusion: true, microBatch: 1 }),
    ).toThrow('loss fusion: expected a relaxation that has it (crown-ibp), got ibp; leave it out');
  });
});
