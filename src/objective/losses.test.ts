import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constant, evaluate, type Tensor } from '../graph/index.js';
import { inputBox } from './input-box.js';
import { crossEntropy, isPositive, marginCrossEntropy, naturalMargin, worstMargin } from './losses.js';

const number = (size: number) => fc.double({ min: -size, max: size, noNaN: true });
/** Rows of numbers, one row per class or margin, and a label for each column. */
const cases = fc
  .tuple(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 1, max: 4 }), fc.constantFrom(3, 800))
  .chain(([classes, batch, size]) =>
    fc.record({
      logits: fc.array(fc.array(number(size), { minLength: batch, maxLength: batch }), {
        minLength: classes,
        maxLength: classes,
      }),
      labels: fc.array(fc.integer({ min: 0, max: classes - 1 }), { minLength: batch, maxLength: batch }),
    }),
  );

const tensorOf = (rows: readonly (readonly number[])[]): Tensor =>
  constant(rows.flat(), [rows.length, rows[0]?.length as number], 'float64');
const labelsOf = (labels: readonly number[]): Tensor => constant(labels, [labels.length], 'int32');
const valuesOf = (tensor: Tensor): number[] => [...(evaluate([tensor], {})[0] as Float64Array)];
const column = (rows: readonly (readonly number[])[], i: number): number[] =>
  rows.map((row) => row[i] as number);

/** −log softmax(values)[label] */
function plainCrossEntropy(values: readonly number[], label: number): number {
  const largest = Math.max(...values);
  return (
    largest + Math.log(values.reduce((sum, v) => sum + Math.exp(v - largest), 0)) - (values[label] as number)
  );
}
const expectClose = (got: readonly number[], expected: readonly number[]) => {
  expect(got.length).toBe(expected.length);
  for (const [i, e] of expected.entries())
    expect(Math.abs((got[i] as number) - e)).toBeLessThanOrEqual(1e-12 * (1 + Math.abs(e)));
};

describe('losses of single images', () => {
  it('the cross-entropy of logits is −log softmax of the label, however large they are', () => {
    fc.assert(
      fc.property(cases, ({ logits, labels }) => {
        expectClose(
          valuesOf(crossEntropy(tensorOf(logits), labelsOf(labels))),
          labels.map((y, i) => plainCrossEntropy(column(logits, i), y)),
        );
      }),
    );
  });

  it('the cross-entropy of margins is that of logits with these margins', () => {
    fc.assert(
      fc.property(cases, ({ logits, labels }) => {
        const margins = labels.map((y, i) =>
          column(logits, i).flatMap((f, j) => (j === y ? [] : [(logits[y]?.[i] as number) - f])),
        );
        const rows = (margins[0] as number[]).map((_, j) => margins.map((m) => m[j] as number));
        const expected = labels.map((y, i) => plainCrossEntropy(column(logits, i), y));
        // Differences of logits are rounded at the size of the logits.
        const got = valuesOf(marginCrossEntropy(tensorOf(rows)));
        for (const [i, e] of expected.entries())
          expect(Math.abs((got[i] as number) - e)).toBeLessThan(1e-11 * (1 + Math.abs(e)));
        expect(valuesOf(worstMargin(tensorOf(rows)))).toEqual(margins.map((m) => Math.min(...m)));
      }),
    );
  });

  it('the natural margin is the label’s logit over the best other one', () => {
    fc.assert(
      fc.property(cases, ({ logits, labels }) => {
        const expected = labels.map(
          (y, i) => (logits[y]?.[i] as number) - Math.max(...column(logits, i).filter((_, j) => j !== y)),
        );
        expectClose(valuesOf(naturalMargin(tensorOf(logits), labelsOf(labels))), expected);
      }),
    );
  });

  it('only positive margins count: a tie is an error', () => {
    expect(valuesOf(isPositive(tensorOf([[1e-30, 0, -0, -1, 5]])))).toEqual([1, 0, 0, 0, 1]);
  });
});

describe('the input box', () => {
  const x = tensorOf([[0, 0.05, 0.5, 0.97, 1]]);
  const boxValues = (clip?: boolean) => {
    const { lower, upper } = inputBox(x, 0.1, clip);
    return [valuesOf(lower), valuesOf(upper)] as const;
  };
  it('is the ball of radius ε cut to [0, 1]', () => {
    const [lower, upper] = boxValues();
    expectClose(lower, [0, 0, 0.4, 0.87, 0.9]);
    expectClose(upper, [0.1, 0.15, 0.6, 1, 1]);
  });
  it('is the whole ball where asked for', () => {
    const [lower, upper] = boxValues(false);
    expectClose(lower, [-0.1, -0.05, 0.4, 0.87, 0.9]);
    expectClose(upper, [0.1, 0.15, 0.6, 1.07, 1.1]);
  });
});
