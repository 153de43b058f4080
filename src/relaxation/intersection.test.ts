import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { total } from '../graph/index.js';
import { marginCrossEntropy } from '../objective/losses.js';
import { anyNetworks, BATCH, caseFeeds, marginsOf } from '../testing/bound-cases.js';
import { boundProblem, runStages } from '../testing/bound-programs.js';
import { expectGradients, robustLossStages } from '../testing/gradient-property.js';
import { distance } from '../testing/operator-check.js';
import { randomParameters } from '../testing/random-networks.js';
import { sampleActivations } from '../testing/sampled-activations.js';
import { type RelaxationName, relaxationNamed, relaxations } from './index.js';
import { intersection } from './intersection.js';

const parts = fc.subarray<RelaxationName>(['ibp', 'hbox', 'deepz', 'crown-ibp', 'crown'], {
  minLength: 2,
  maxLength: 3,
});

describe('an intersection of relaxations', () => {
  it('is the best of its parts at every margin, and below every sampled one', async () => {
    let mixed = 0;
    await fc.assert(
      fc.asyncProperty(
        anyNetworks,
        fc.nat(),
        fc.constantFrom(0.05, 0.3, 1),
        parts,
        async (net, seed, epsilon, names) => {
          const feeds = caseFeeds(net, seed, epsilon);
          const each = await Promise.all(names.map((name) => marginsOf(relaxationNamed(name), net, feeds)));
          const both = await marginsOf(relaxationNamed(names.join('+')), net, feeds);
          const best = [...both].map((_, i) => Math.max(...each.map((margins) => margins[i] as number)));
          for (const [i, margin] of both.entries())
            expect(Math.abs(margin - (best[i] as number))).toBeLessThan(1e-12 * (1 + Math.abs(margin)));
          const met = (await sampleActivations(net, feeds, 100, 2, seed)).margins.least;
          for (const [i, margin] of both.entries())
            expect(margin).toBeLessThan((met[i] as number) + 1e-9 * (1 + Math.abs(margin)));
          if (each.every((margins) => best.some((b, i) => b > (margins[i] as number) + 1e-6))) mixed++;
        },
      ),
      { numRuns: 20 },
    );
    expect(mixed).toBeGreaterThan(0); // no single part gave all
  });

  it('has the gradient that its values show', () =>
    expectGradients(anyNetworks, (net) => robustLossStages(relaxationNamed('ibp+crown-ibp+deepz'), net), {
      numRuns: 6,
      epsilons: fc.constant(0.2),
    }));

  it('runs a stage that parts share once: the gradient of CROWN and its twin is CROWN’s', async () => {
    const twin = { ...relaxations.crown, name: 'twin' };
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(), async (net, seed) => {
        const parameters = Object.keys(randomParameters(net, seed));
        const [one, both] = await Promise.all(
          [relaxations.crown, intersection([relaxations.crown, twin])].map(async (relaxation) => {
            const { stages, margins } = relaxation.bound(boundProblem(net, BATCH));
            const loss = total(marginCrossEntropy(margins));
            return (
              await runStages(
                [...stages, { kind: 'whole', outputs: { loss } }],
                [caseFeeds(net, seed, 0.2)],
                parameters,
              )
            )[0];
          }),
        );
        one?.gradients.forEach((expected, k) => {
          expect(distance(both?.gradients[k] as Float64Array, expected)).toBeLessThan(1e-12);
        });
      }),
      { numRuns: 5 },
    );
  });

  it('has a gradient only if all its parts have one', () => {
    const valuesOnly = { ...relaxations.ibp, name: 'values', differentiable: false };
    expect(intersection([relaxations.crown, relaxations.ibp]).differentiable).toBe(true);
    expect(intersection([relaxations.crown, valuesOnly]).differentiable).toBe(false);
  });
});

describe('relaxations by name', () => {
  it('are the registered ones, and intersections of them', () => {
    for (const name of Object.keys(relaxations)) expect(relaxationNamed(name).name).toBe(name);
    expect(relaxationNamed('ibp+crown-ibp').name).toBe('ibp+crown-ibp');
    expect(relaxationNamed('ibp')).toBe(relaxations.ibp);
  });

  it.each([
    [
      'crwn',
      'expected one of ibp, hbox, deepz, crown-ibp, crown, crown-all, nested-crown-ibp, deeppoly, alpha-crown, lp, exact, or several joined by +, got "crwn"',
    ],
    ['', 'got ""'],
    ['ibp+', 'got ""'],
    ['ibp+toString', 'got "toString"'],
    ['ibp+ibp', 'expected different relaxations, got ibp+ibp; name each once'],
  ])('%j is none, in one line', (name, line) => {
    expect(() => relaxationNamed(name)).toThrow(line);
  });
});
