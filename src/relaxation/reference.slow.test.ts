import { describe, expect, it } from 'vitest';
import { runStages } from '../testing/bound-programs.js';
import { lossStages } from '../testing/reference-losses.js';
import { loadReference, missingReference, relativeDifference } from '../testing/reference-values.js';
import { crown, crownWith } from './linear/crown.js';

if (missingReference) console.warn(`skipping the reference values: ${missingReference}`);

describe.skipIf(missingReference)('as independent code computes them in float64', () => {
  it.each([
    ['every neuron back-substituted, float64', crownWith({ all: true }), 'float64', 4, 1e-9],
    ['unstable neurons back-substituted, float64', crown, 'float64', 4, 1e-9],
    ['unstable neurons back-substituted, float32', crown, 'float32', 32, 3e-4],
  ] as const)('CROWN margins of CNN5: %s', async (_, relaxation, dtype, images, tolerance) => {
    const reference = loadReference('cnn5');
    const stages = lossStages(relaxation, reference.network, images, { natural: 0, elision: true, dtype });
    const [result] = await runStages(stages, [reference.feeds(images, dtype)]);
    expect(
      relativeDifference(result?.outputs.margins as Float64Array, reference.stored('crown_margins', images)),
    ).toBeLessThan(tolerance);
  });
});
