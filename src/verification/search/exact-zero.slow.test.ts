/**
 * Networks of small whole weights on boxes of whole ends: float32 computes all of their values at the corners
 * exactly. Weights behind the first layer are not negative and the row is, so that the function is concave,
 * and its minimum is that of the corners: known exactly, and attained.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { exportOnnx } from '../../network/onnx/export.js';
import { openModel } from '../../runtime/execution/model.js';
import { createPool } from '../../runtime/pool/pool.js';
import { denseNetwork, expectTrue } from '../../testing/searches.js';
import type { Polytope } from '../property/property.js';
import { type Verification, verify } from './verify.js';

const pool = createPool(1);
afterAll(() => pool.close());

const whole = (min: number, max: number, count: number) =>
  fc.array(fc.integer({ min, max }), { minLength: count, maxLength: count });

const [INPUTS, HIDDEN] = [3, 5] as const;
const shallow = denseNetwork(INPUTS, HIDDEN, 1);
const deep = denseNetwork(INPUTS, HIDDEN, HIDDEN, 1);

interface ConcaveCase {
  readonly net: typeof deep;
  readonly parameters: Readonly<Record<string, Float32Array>>;
  readonly box: Polytope['box'];
  readonly least: number;
}

const matrixTimes = (matrix: readonly number[], x: readonly number[], bias: readonly number[]): number[] =>
  bias.map((b, i) => x.reduce((sum, value, k) => sum + (matrix[i * x.length + k] as number) * value, b));
const rectified = (x: readonly number[]): number[] => x.map((value) => Math.max(0, value));

const concave: fc.Arbitrary<ConcaveCase> = fc
  .record({
    first: whole(-3, 3, INPUTS * HIDDEN),
    firstBias: whole(-4, 4, HIDDEN),
    second: whole(0, 2, HIDDEN * HIDDEN),
    secondBias: whole(-6, 2, HIDDEN),
    last: whole(-2, 0, HIDDEN),
    lastBias: whole(-5, 5, 1),
    lower: whole(-4, 1, INPUTS),
    widths: whole(0, 4, INPUTS),
    twice: fc.boolean(),
  })
  .map(({ first, firstBias, second, secondBias, last, lastBias, lower, widths, twice }) => {
    const f = (x: readonly number[]): number => {
      const once = rectified(matrixTimes(first, x, firstBias));
      return matrixTimes(
        last,
        twice ? rectified(matrixTimes(second, once, secondBias)) : once,
        lastBias,
      )[0] as number;
    };
    const corners = Array.from({ length: 2 ** INPUTS }, (_, c) =>
      lower.map((l, i) => l + ((c >> i) & 1) * (widths[i] as number)),
    );
    const arrays: Record<string, readonly number[]> = twice
      ? {
          '0.weight': first,
          '0.bias': firstBias,
          '2.weight': second,
          '2.bias': secondBias,
          '4.weight': last,
          '4.bias': lastBias,
        }
      : { '0.weight': first, '0.bias': firstBias, '2.weight': last, '2.bias': lastBias };
    return {
      net: twice ? deep : shallow,
      parameters: Object.fromEntries(
        Object.entries(arrays).map(([name, values]) => [name, Float32Array.from(values)]),
      ),
      box: {
        lower: Float64Array.from(lower),
        upper: Float64Array.from(lower, (l, i) => l + (widths[i] as number)),
      },
      least: Math.min(...corners.map(f)),
    };
  });

/** The answer to y ≤ bound, counterexamples checked with ONNX Runtime on the exported file. */
async function answerTo(
  { net, parameters, box }: ConcaveCase,
  bound: number,
  timeoutSeconds = 1,
): Promise<{ answer: Verification; polytopes: Polytope[] }> {
  const polytopes = [{ box, unsafe: [{ outputs: Float64Array.of(1), bound }] }];
  const model = await openModel(exportOnnx(net, parameters), { inputs: INPUTS, outputs: 1 }, 'exported');
  try {
    const property = { inputs: INPUTS, outputs: 1, polytopes };
    return {
      answer: await verify({
        network: net,
        parameters,
        property,
        pool,
        timeoutSeconds,
        evaluate: (x) => model.run(x),
      }),
      polytopes,
    };
  } finally {
    await model.close();
  }
}

describe('a property whose boundary the network touches exactly', () => {
  it('is never proved, and refuted only by an input that ONNX Runtime itself confirms', async () => {
    const verdicts = { unsat: 0, sat: 0, timeout: 0, unknown: 0 };
    await fc.assert(
      fc.asyncProperty(concave, async (of) => {
        const { answer, polytopes } = await answerTo(of, of.least);
        verdicts[answer.verdict]++;
        expect(answer.verdict).not.toBe('unsat');
        if (answer.counterexample) {
          expectTrue(answer.counterexample, polytopes);
          // Where the network is flat at its least, inputs between whole numbers reach it too, and float32
          // may round it down by a step.
          const step = 2 ** -20 * (1 + Math.abs(of.least));
          expect(of.least - (answer.counterexample.output[0] as number)).toBeLessThanOrEqual(step);
        }
      }),
      { numRuns: 40 },
    );
    console.info(`touched exactly: ${JSON.stringify(verdicts)}`);
    expect(verdicts.sat).toBeGreaterThan(20);
  });

  it('is never refuted a float32 step away from it, and proved a hundredth away', async () => {
    await fc.assert(
      fc.asyncProperty(concave, async (of) => {
        expect((await answerTo(of, of.least - 2 ** -20 * (1 + Math.abs(of.least)))).answer.verdict).not.toBe(
          'sat',
        );
        expect((await answerTo(of, of.least - 0.01 * (1 + Math.abs(of.least)), 60)).answer.verdict).toBe(
          'unsat',
        );
      }),
      { numRuns: 10, endOnFailure: true },
    );
  });
});
