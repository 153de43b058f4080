import { describe, expect, it } from 'vitest';
import { concat, type FloatType } from '../graph/index.js';
import { boundProblem, runStages } from '../testing/bound-programs.js';
import { lossStages } from '../testing/reference-losses.js';
import {
  loadReference,
  missingReference,
  type ReferenceName,
  relativeDifference,
  relativeDistance,
} from '../testing/reference-values.js';
import { interval, intervalBounds } from './interval.js';
import { crown, crownBounds, crownWith } from './linear/crown.js';
import { crownIbp } from './linear/crown-ibp.js';
import type { Bounds, Relaxation } from './relaxation.js';

if (missingReference) console.warn(`skipping the reference values: ${missingReference}`);

const IMAGES = 32;
/**
 * Greatest relative differences allowed: in float64 those of rounding and of float32 storage; in float32 ten
 * times an independent code's own.
 */
const tolerances = {
  float64: { cnn3: { bounds: 1e-9, gradients: 1e-6 }, cnn5: { bounds: 1e-9, gradients: 1e-6 } },
  float32: { cnn3: { bounds: 1e-5, gradients: 3e-5 }, cnn5: { bounds: 3e-4, gradients: 3e-5 } },
} as const;

interface Kind {
  readonly relaxation: Relaxation;
  readonly natural: number;
  readonly elision: boolean;
  /** Name of the stored margins, if any. */
  readonly margins?: string;
}
const kinds: Readonly<Record<string, Kind>> = {
  ibp: { relaxation: interval, natural: 0.5, elision: false },
  crownibp: { relaxation: crownIbp, natural: 0, elision: true, margins: 'crownibp_margins' },
  crown: { relaxation: crown, natural: 0, elision: true, margins: 'crown_margins' },
};

async function expectReference(
  name: ReferenceName,
  kind: string,
  dtype: FloatType,
  relaxation?: Relaxation,
): Promise<void> {
  const reference = loadReference(name);
  const { natural, elision, margins, ...rest } = kinds[kind] as Kind;
  const tolerance = tolerances[dtype][name];
  const names = [...reference.gradients(kind).keys()];
  const stages = lossStages(relaxation ?? rest.relaxation, reference.network, IMAGES, {
    natural,
    elision,
    dtype,
  });
  const [result] = await runStages(stages, [reference.feeds(IMAGES, dtype)], names);
  const made = result?.outputs as Record<string, Float64Array>;
  expect(
    relativeDifference(made.logits as Float64Array, reference.stored('logits', IMAGES)),
    'logits',
  ).toBeLessThan(tolerance.bounds);
  expect(
    relativeDifference(made.loss as Float64Array, reference.stored(`${kind}_loss`)),
    'loss',
  ).toBeLessThan(tolerance.bounds);
  if (margins)
    expect(
      relativeDifference(made.margins as Float64Array, reference.stored(margins, IMAGES)),
      'margins',
    ).toBeLessThan(tolerance.bounds);
  expect(names.length).toBeGreaterThan(4);
  names.forEach((parameter, k) => {
    const expected = reference.gradients(kind).get(parameter) as Float64Array;
    const gradient = result?.gradients[k] as Float64Array;
    expect(relativeDistance(gradient, expected), `gradient of ${parameter}`).toBeLessThan(
      tolerance.gradients,
    );
    // A coefficient within rounding of zero may take either sign, and |a| has a kink there: single entries in
    // float32 may be off by more.
    expect(relativeDifference(gradient, expected), `entries of the gradient of ${parameter}`).toBeLessThan(
      tolerance.gradients * (dtype === 'float32' ? 10 : 1),
    );
  });
}

describe.skipIf(missingReference)('as independent code computes them in float64', () => {
  const cases = (['float64', 'float32'] as const).flatMap((dtype) => [
    ['cnn3', 'ibp', dtype] as const,
    ['cnn3', 'crownibp', dtype] as const,
    ['cnn3', 'crown', dtype] as const,
    ['cnn5', 'ibp', dtype] as const,
    ['cnn5', 'crownibp', dtype] as const,
  ]);
  it.each(cases)('logits, losses, margins and gradients of %s: %s in %s', expectReference);

  it('CROWN with every neuron back-substituted', () =>
    expectReference('cnn3', 'crown', 'float64', crownWith({ all: true })));

  it.each(['cnn3', 'cnn5'] as const)('interval bounds of the logits of %s', async (name) => {
    const reference = loadReference(name);
    const { network: net, parameters, box } = boundProblem(reference.network, IMAGES);
    const { lower, upper } = intervalBounds(net, parameters, box).at(-1) as Bounds;
    const [result] = await runStages(
      [{ kind: 'whole', outputs: { 'logits below': lower, 'logits above': upper } }],
      [reference.feeds(IMAGES, 'float64')],
    );
    expect(
      relativeDifference(
        result?.outputs['logits below'] as Float64Array,
        reference.stored('ibp_logits_lower', IMAGES),
      ),
    ).toBeLessThan(1e-9);
    expect(
      relativeDifference(
        result?.outputs['logits above'] as Float64Array,
        reference.stored('ibp_logits_upper', IMAGES),
      ),
    ).toBeLessThan(1e-9);
  });

  it('pre-activation bounds of CNN3 by intervals and by CROWN', async () => {
    const reference = loadReference('cnn3');
    const problem = boundProblem(reference.network, 4);
    const values = intervalBounds(problem.network, problem.parameters, problem.box);
    const { stages, before } = crownBounds(problem, { all: true });
    const outputs = Object.fromEntries(
      [1, 3].flatMap((relu, k) => [
        [
          `ibp_preact${k}`,
          concat(
            [values[relu - 1]?.lower ?? before(relu).lower, values[relu - 1]?.upper ?? before(relu).upper],
            0,
          ),
        ],
        [`crown_preact${k}`, concat([before(relu).lower, before(relu).upper], 0)],
      ]),
    );
    const [result] = await runStages(
      [...stages, { kind: 'whole', outputs }],
      [reference.feeds(4, 'float64')],
    );
    for (const name of Object.keys(outputs)) {
      const expected = ['lower', 'upper'].flatMap((side) => [...reference.stored(`${name}_${side}`, 4)]);
      // Stored in float32.
      expect(relativeDifference(result?.outputs[name] as Float64Array, expected), name).toBeLessThan(1e-7);
    }
  });
});
