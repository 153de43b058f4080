import { expect, test } from 'vitest';
import { positiveNumber } from './flag-values.js';

test.each([
  ['60', 60],
  ['0.5', 0.5],
  ['1e3', 1000],
])('%s is a number above 0', (text, value) => {
  expect(positiveNumber('timeout', text)).toBe(value);
});

test.each(['0x10', '0b1', '0', '-1', '', ' ', 'Infinity', '1e999', '5s'])('"%s" is none', (text) => {
  expect(() => positiveNumber('timeout', text)).toThrow(
    `--timeout: expected a number above 0, got "${text}"`,
  );
});
