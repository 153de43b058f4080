import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCounterexample, encodeCounterexample } from './counterexample.js';
import { FormatError } from './format-error.js';

const values = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 8 });

describe('counterexamples of the competition', () => {
  it('are one parenthesis of names and values, inputs first', () => {
    expect(encodeCounterexample({ inputs: [0.25, -1e-7], outputs: Float32Array.of(3.5) })).toBe(
      '((X_0 0.25)\n(X_1 -1e-7)\n(Y_0 3.5))\n',
    );
  });

  it('are read back as they were, bit for bit but for the sign of zero', () => {
    fc.assert(
      fc.property(values, values, fc.boolean(), (inputs, outputs, verdict) => {
        const text = encodeCounterexample({ inputs, outputs });
        const read = decodeCounterexample(verdict ? `sat\n${text}` : text.replaceAll('\n', ' \n\n'));
        expect([...read.inputs]).toEqual(inputs.map((v) => v + 0));
        expect([...read.outputs]).toEqual(outputs.map((v) => v + 0));
      }),
    );
  });

  it('refuses values that are not finite', () => {
    expect(() => encodeCounterexample({ inputs: [1, Number.NaN], outputs: [] })).toThrow(
      'counterexample: expected finite values, got NaN for X_1',
    );
  });

  it.each([
    ['((X_0 1)\n(X_0 2))', 'c:2:7: expected ((X_0 value) … (Y_0 value) …), got X_0 again'],
    ['((X_0 nan))', 'c:1:10: expected'],
    ['((X_0))', 'got (X_0)'],
    ['((Z_0 1))', 'got (Z_0 1)'],
    ['((X_1 1))', 'c: expected a value for each of 1 X, got no X_0'],
    ['unsat', 'got unsat'],
    ['sat', 'c: expected ((X_0 value) … (Y_0 value) …), got none'],
    ['((X_0 1)', 'got a text that is cut short'],
    ['((X_0 1)))', 'got )'],
    ['((X_0 1)) ((X_0 1))', 'got ('],
  ])('refuses %j', (text, message) => {
    expect(() => decodeCounterexample(text, 'c')).toThrow(FormatError);
    expect(() => decodeCounterexample(text, 'c')).toThrow(message);
  });
});
