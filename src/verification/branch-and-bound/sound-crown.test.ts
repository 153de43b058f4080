import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { add, type FloatType, input, mul, reshape, sum, type Tensor } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { logits, type Network, parameterInputs } from '../../network/network.js';
import type { BoundProblem } from '../../relaxation/relaxation.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { anyNetworks } from '../../testing/bound-cases.js';
import { randomBox } from '../../testing/bound-programs.js';
import { normalNumbers } from '../../testing/numbers.js';
import { randomParameters } from '../../testing/random-networks.js';
import { soundCrown, soundIntervalBounds } from './sound-crown.js';

const executor = createExecutor();
afterAll(() => executor.close());
const [ROWS, BATCH] = [3, 4];

/**
 * Lower bounds of random rows in either type, over the inputs too or not, and the rows' values at the lower
 * ends; weights scaled to make terms large and cancel.
 */
async function bounds(
  net: Network,
  seed: number,
  { scale = 1, epsilon = 0, mixed = false }: { scale?: number; epsilon?: number; mixed?: boolean },
  dtype: FloatType,
) {
  const inputs = featuresOf(net.input);
  const rows = input('rows', [net.classes, ROWS, BATCH], dtype);
  const box = {
    lower: input('lower', [inputs, BATCH], dtype),
    upper: input('upper', [inputs, BATCH], dtype),
  };
  const problem: BoundProblem = {
    network: net,
    parameters: parameterInputs(net, dtype),
    box,
    specification: { kind: 'rows', coefficients: rows },
  };
  const overInputs = input('input rows', [inputs, ROWS * BATCH], dtype);
  const sumOf = (coefficients: Tensor, of: Tensor, size: number) =>
    sum(mul(reshape(coefficients, [size, ROWS, BATCH]), reshape(of, [size, 1, BATCH])), [0]);
  const ofOutputs = sumOf(rows, logits(net, problem.parameters, box.lower), net.classes);
  const values = mixed ? add(ofOutputs, sumOf(overInputs, box.lower, inputs)) : ofOutputs;
  const sound = soundCrown(problem, rows, mixed ? overInputs : undefined).margins;
  // Intervals know rows of outputs only.
  const outputs = { sound, values, ...(!mixed && soundIntervalBounds(problem, rows)) };
  const plan = createPlan([{ kind: 'whole', outputs }]);
  // Numbers of float32 in both types, so that arithmetic is the only difference.
  const typed = (x: ArrayLike<number>) =>
    dtype === 'float32' ? Float32Array.from(x) : Float64Array.from(Float32Array.from(x));
  const feeds = {
    ...Object.fromEntries(
      Object.entries(randomParameters(net, seed)).map(([name, w]) => [name, typed(w.map((v) => v * scale))]),
    ),
    ...Object.fromEntries(
      Object.entries(randomBox(seed, inputs, BATCH, epsilon)).map(([name, end]) => [name, typed(end)]),
    ),
    rows: typed(normalNumbers(`rows ${seed}`, net.classes * ROWS * BATCH)),
    ...(mixed && { 'input rows': typed(normalNumbers(`inputs ${seed}`, inputs * ROWS * BATCH)) }),
  };
  return (await executor.run(plan, feeds)).outputs as Record<
    'sound' | 'ibp' | 'crownIbp' | 'values',
    Float64Array
  >;
}

describe('CROWN and IBP less their rounding errors', () => {
  it('in float32 are below what float64 computes from the same numbers, however large the terms that cancel', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyNetworks,
        fc.nat(1e6),
        fc.constantFrom(1, 30, 1000),
        fc.constantFrom(0, 1e-7, 0.01),
        async (net, seed, scale, epsilon) => {
          for (const mixed of [false, true]) {
            const of = { scale, epsilon, mixed };
            const { values: _, ...found } = await bounds(net, seed, of, 'float32');
            const { values } = await bounds(net, seed, of, 'float64');
            for (const below of Object.values(found))
              below.forEach((value, i) => {
                expect(value).toBeLessThan(values[i] as number);
              });
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  it('in float64 lose nothing that matters: of a single point they are the value but for ten digits', async () => {
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(1e6), async (net, seed) => {
        for (const mixed of [false, true]) {
          const { values, ...found } = await bounds(net, seed, { mixed }, 'float64');
          for (const below of Object.values(found))
            below.forEach((value, i) => {
              expect((values[i] as number) - value).toBeLessThan(1e-10 * (1 + Math.abs(value)));
            });
        }
      }),
      { numRuns: 10 },
    );
  });

  it('with hidden intervals are at least IBP where rows are carried on to the input', async () => {
    await fc.assert(
      fc.asyncProperty(anyNetworks, fc.nat(1e6), async (net, seed) => {
        const { ibp, crownIbp } = await bounds(net, seed, { epsilon: 0.1 }, 'float64');
        crownIbp.forEach((value, i) => {
          expect(value).toBeGreaterThanOrEqual(ibp[i] as number);
        });
      }),
      { numRuns: 10 },
    );
  });
});
