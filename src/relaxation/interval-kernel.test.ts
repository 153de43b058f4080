import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addAll, type FloatType, input, mul, reshape, sum, type Tensor } from '../graph/index.js';
import { architecture } from '../network/architectures.js';
import { logitsOfRuns } from '../network/layer-runs.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import { hasRowKernel, rowsComputedBy, useInstructionSet } from '../runtime/kernels/row-kernel.js';
import { withIntervalKernel } from '../runtime/plan/stages/interval-kernel.js';
import { boundProblem, randomBox, runStages } from '../testing/bound-programs.js';
import { INSTRUCTION_SETS } from '../testing/instruction-sets.js';
import { uniformNumbers } from '../testing/numbers.js';
import { distance } from '../testing/operator-check.js';
import {
  convolutionalNetworks,
  denseNetworks,
  importedNetworks,
  randomParameters,
  residualNetworks,
} from '../testing/random-networks.js';
import { intervalBounds } from './interval.js';
import type { Bounds } from './relaxation.js';

/**
 * Intervals of every node and natural logits, their weighted squares, and gradients in all that is fed, or
 * in parameters alone.
 */
async function propagated(
  net: Network,
  seed: number,
  batch: number,
  dtype: FloatType,
  isEvery: boolean,
  ofInputs = true,
) {
  const { parameters, box } = boundProblem(net, batch, dtype);
  const bounds = intervalBounds(net, parameters, box);
  const seen = isEvery ? bounds : bounds.slice(-1);
  const ends = Object.fromEntries(
    seen.flatMap((b, k) => (['lower', 'upper'] as const).map((side) => [`${side} ${k}`, b[side]])),
  );
  const x = input('x', [featuresOf(net.input), batch], dtype);
  const outputs: Record<string, Tensor> = { ...ends, logits: logitsOfRuns(net, parameters, x) };
  const square = (y: Tensor, i: number) =>
    sum(reshape(mul(mul(y, y), 1 + 0.1 * i), [(y.shape[0] as number) * batch]), [0]);
  const loss = reshape(addAll(Object.values(outputs).map(square)), []);
  const feeds: Record<string, Float64Array | Float32Array> = {
    ...randomParameters(net, seed),
    ...randomBox(seed, featuresOf(net.input), batch, 0.2),
    x: uniformNumbers(`x ${seed}`, featuresOf(net.input) * batch),
  };
  if (dtype === 'float32')
    for (const [name, values] of Object.entries(feeds)) feeds[name] = Float32Array.from(values);
  const stages = [{ kind: 'whole', outputs: { ...outputs, loss } } as const];
  const inputs = ofInputs ? ['lower', 'upper', 'x'] : [];
  const [result] = await runStages(stages, [feeds], [...inputs, ...Object.keys(parameters)]);
  return {
    values: Object.values(result?.outputs ?? {}).map((values) => Float64Array.from(values)),
    gradients: (result?.gradients ?? []).map((gradient) => Float64Array.from(gradient)),
  };
}

/** Greatest difference of arrays, relative to the greatest entry of each. */
const furthest = (a: readonly Float64Array[], b: readonly Float64Array[]): number =>
  Math.max(
    ...a.map((array, i) => {
      const scale = array.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-300);
      return distance(array, b[i] as Float64Array) / Math.max(scale, 1);
    }),
  );

describe.skipIf(!hasRowKernel())('the interval kernel', () => {
  const fastest = INSTRUCTION_SETS.filter((name) => useInstructionSet(name) === name).at(-1) as string;
  afterEach(() => {
    vi.unstubAllEnvs();
    useInstructionSet(fastest);
  });

  const both = async (set: string, ...args: Parameters<typeof propagated>) => {
    useInstructionSet(set);
    const native = await propagated(...args);
    vi.stubEnv('TAUTNET_ROWS', 'ort');
    const programs = await propagated(...args);
    vi.unstubAllEnvs();
    return [native, programs] as const;
  };
  const networks = fc.oneof(convolutionalNetworks(), denseNetworks, residualNetworks, importedNetworks);

  it.each(INSTRUCTION_SETS)('has the values and gradients of the programs, with %s', async (set) => {
    if (useInstructionSet(set) !== set) return;
    await fc.assert(
      fc.asyncProperty(
        networks,
        fc.integer({ min: 1, max: 1000 }),
        fc.constantFrom(1, 3, 17),
        fc.boolean(),
        async (net, seed, batch, isEvery) => {
          const [native, programs] = await both(set, net, seed, batch, 'float64', isEvery);
          expect(furthest(native.values, programs.values)).toBeLessThan(1e-12);
          expect(furthest(native.gradients, programs.gradients)).toBeLessThan(1e-12);
        },
      ),
      { numRuns: 15 },
    );
  });

  it.each(INSTRUCTION_SETS)(
    'has them where first layers are computed tile by tile, with %s',
    async (set) => {
      if (useInstructionSet(set) !== set) return;
      // Too much between the first two layers for the cache: strides 2 and 1, a last tile of fewer rows.
      const nets = [
        architecture('conv 24@3 s1 p1, conv 20@4 s2 p1, linear', [1, 28, 28], 3),
        ...[10, 40].map((channels) =>
          architecture(`conv ${channels}@2, conv 13@5 p2, conv 3@3 s3, linear 7, linear`, [1, 23, 26], 2),
        ),
      ];
      for (const [i, net] of nets.entries())
        for (const ofInputs of [true, false]) {
          const [native, programs] = await both(set, net, i, 3, 'float64', ofInputs, ofInputs);
          expect(furthest(native.values, programs.values)).toBeLessThan(1e-12);
          expect(furthest(native.gradients, programs.gradients)).toBeLessThan(1e-12);
        }
    },
    60_000,
  );

  it('has them in float32 to its rounding', async () => {
    await fc.assert(
      fc.asyncProperty(networks, fc.integer({ min: 1, max: 1000 }), async (net, seed) => {
        const [native, programs] = await both(fastest, net, seed, 5, 'float32', true);
        expect(furthest(native.values, programs.values)).toBeLessThan(1e-4);
      }),
      { numRuns: 10 },
    );
  });

  it('gives each image the same bits whatever the batch', async () => {
    const IMAGES = 19;
    const ends = (net: Network, batch: number) => {
      const { parameters, box } = boundProblem(net, batch, 'float32');
      const { lower, upper } = intervalBounds(net, parameters, box).at(-1) as Bounds;
      return [{ kind: 'whole', outputs: { below: lower, above: upper } } as const];
    };
    const repeated = (values: ArrayLike<number>) =>
      Float32Array.from({ length: values.length * IMAGES }, (_, i) => values[Math.trunc(i / IMAGES)] ?? 0);
    await fc.assert(
      fc.asyncProperty(convolutionalNetworks(), fc.integer({ min: 1, max: 1000 }), async (net, seed) => {
        const box = randomBox(seed, featuresOf(net.input), 1, 0.2);
        const all = Object.entries({ ...randomParameters(net, seed), ...box });
        const one = Object.fromEntries(all.map(([name, values]) => [name, Float32Array.from(values)]));
        const many = { ...one, lower: repeated(box.lower), upper: repeated(box.upper) };
        const [single] = await runStages(ends(net, 1), [one]);
        const [batch] = await runStages(ends(net, IMAGES), [many]);
        for (const end of ['below', 'above'])
          expect(batch?.outputs[end]).toEqual(repeated(single?.outputs[end] as Float32Array));
      }),
      { numRuns: 10 },
    );
  });

  it('is left out for runs of little work, and where it is switched off', () => {
    expect(rowsComputedBy()).toBe(`native, ${fastest}`);
    const sample = fc.sample(convolutionalNetworks(), { numRuns: 1, seed: 1 })[0] as Network;
    const { parameters, box } = boundProblem(sample, 2);
    const bounds = intervalBounds(sample, parameters, box).at(-1) as Bounds;
    const stages = [{ kind: 'whole', outputs: { ...bounds } } as const];
    expect(withIntervalKernel(stages)[0]?.kind).toBe('whole');
    expect(withIntervalKernel(stages, () => true)[0]?.kind).toBe('interval-kernel');
    vi.stubEnv('TAUTNET_ROWS', 'ort');
    expect(withIntervalKernel(stages, () => true)[0]?.kind).toBe('whole');
  });
});
