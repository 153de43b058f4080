import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boxAsserts, declarations, formula, print } from '../../testing/vnnlib-text.js';
import { FormatError } from '../format-error.js';
import { type Constraint, parseVnnlib, type VnnlibProperty } from '../vnnlib.js';

const header = `(vnnlib-version <2.0>)
(declare-network f
  (declare-input X float32 [1, 3])
  (declare-output Y Real [2,2] "out"))`;
const read = (text: string): VnnlibProperty => parseVnnlib(`${header}${text}`, 'q.vnnlib');
const asserted = (text: string): Constraint | undefined => {
  const { constraint } = read(`(assert ${text})`);
  return 'and' in constraint ? constraint.and[0] : undefined;
};
const refusal = (text: string): string => {
  try {
    parseVnnlib(text, 'q.vnnlib');
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return (error as Error).message;
  }
  return 'accepted';
};

describe('VNN-LIB 2.0', () => {
  test('says what the same property of version 1.0 says', () => {
    fc.assert(
      fc.property(formula(3, 4), (of) => {
        const text = `${boxAsserts(3, 0, 1)}(assert ${print(of)})`;
        const old = parseVnnlib(declarations(3, 4) + text, 'q.vnnlib');
        const renamed = text
          .replace(/X_(\d+)/g, (_, i) => `X[0,${i}]`)
          .replace(/Y_(\d+)/g, (_, j) => `Y[${Math.floor(j / 2)}, ${j % 2}]`);
        const { network, ...rest } = read(renamed);
        expect(rest).toEqual(old);
        expect(network).toBe('f');
      }),
    );
  });

  test('has == for both inequalities and != for either strict one', () => {
    const [below, above] = [
      { variables: [0], coefficients: [1], bound: 0.5 },
      { variables: [0], coefficients: [-1], bound: -0.5 },
    ];
    expect(asserted('(== X[0,0] 0.5)')).toEqual({ and: [below, above] });
    expect(asserted('(!= X[0,0] 0.5)')).toEqual({
      or: [
        { ...below, strict: true },
        { ...above, strict: true },
      ],
    });
  });

  test.each([
    ['(assert (<= X[0,3] 1))', 'expected an element of X, which is [1,3], indices from 0, got X[0,3]'],
    ['(assert (<= X[0] 1))', 'expected an element of X, which is [1,3]'],
    ['(assert (<= Z[0,0] 1))', 'expected a number or a variable that is declared above, got Z[0,0]'],
    ['(assert (<= X[0,0 1))', 'expected ] after X[0,01, got )'],
    ['(declare-const X_0 Real)', 'expected variables of network f alone, got declare-const'],
    [
      '(declare-network g (equal-to f) (declare-input A Real [1]))',
      'expected one network, got another after f; several are not decided',
    ],
  ])('refuses %s', (text, message) => {
    expect(refusal(header + text)).toContain(message);
  });

  test.each([
    [
      '(declare-network f (declare-input X int8 [1]) (declare-output Y Real [1]))',
      'got int8; it is not decided',
    ],
    [
      '(declare-network f (declare-input X Real [1]) (declare-hidden H Real [1] "h") (declare-output Y Real [1]))',
      'got declare-hidden H; it is not decided',
    ],
    [
      '(declare-network f (declare-input X Real [1]) (declare-input Z Real [1]) (declare-output Y Real [1]))',
      'expected one declare-input in network f, got 2',
    ],
    [
      '(declare-network f (declare-input X Real [0]) (declare-output Y Real [1]))',
      'expected the extents of X',
    ],
    ['(vnnlib-version <3.0>)', 'expected VNN-LIB <1.0> or <2.0>, got <3.0>'],
  ])('refuses %s', (text, message) => {
    expect(refusal(text)).toContain(message);
  });
});
