/**
 * Numbers of VNN-LIB: decimals, with a sign and an exponent, which SMT-LIB does not know but the
 * competition's files have.
 */

const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const NOT_FINITE = /^[+-]?(?:nan|inf(?:inity)?)$/i;

/**
 * The nearest float64; infinite beyond its range, NaN for what other languages print of numbers that are not
 * finite; undefined for what is no number.
 */
export function parseNumber(text: string): number | undefined {
  if (DECIMAL.test(text)) return Number(text);
  return NOT_FINITE.test(text) ? Number.NaN : undefined;
}
