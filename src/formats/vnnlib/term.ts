/**
 * Arithmetic of VNN-LIB: terms that are linear in the variables, folded as they are read.
 *
 * Constants are folded exactly and rounded to nearest once, in the finished comparison. A sum keeps its parts
 * instead of merging them and a multiple only changes a factor, so that every operator costs as much as it
 * has operands, however deep terms are nested; variables are merged once, when the comparison around them is
 * complete.
 */
import type { LinearConstraint } from './constraint.js';
import { type Exact, isZero, nearest, productOf, quotientOf, sumOf } from './exact.js';

/** factor · X_i, or factor · (constant + Σ parts). */
export type Linear =
  | { readonly factor: Exact; readonly variable: number }
  | { readonly factor: Exact; readonly constant: Exact; readonly parts: readonly Linear[] };

export type Term = Exact | Linear;

const isLinear = (term: Term): term is Linear => typeof term === 'object' && 'factor' in term;

const times = (term: Term, scale: Exact): Term =>
  isLinear(term) ? { ...term, factor: productOf(term.factor, scale) } : productOf(term, scale);
const over = (term: Term, divisor: Exact): Term =>
  isLinear(term) ? { ...term, factor: quotientOf(term.factor, divisor) } : quotientOf(term, divisor);

function sum(terms: readonly Term[]): Term {
  let constant: Exact = 0;
  const parts: Linear[] = [];
  for (const term of terms) {
    if (isLinear(term)) parts.push(term);
    else constant = sumOf(constant, term);
  }
  if (parts.length === 0) return constant;
  return parts.length === 1 && isZero(constant) ? (parts[0] as Linear) : { factor: 1, constant, parts };
}

/** Of one or more operands; `fail` throws what is wrong with them. */
export type Operator = (operands: readonly Term[], fail: (message: string) => never) => Term;

export const ARITHMETIC: Readonly<Record<string, Operator>> = {
  '+': sum,
  '-': ([first, ...rest]) =>
    rest.length === 0
      ? times(first as Term, -1)
      : sum([first as Term, ...rest.map((term) => times(term, -1))]),
  '*': (operands, fail) => {
    let [scale, linear]: [Exact, Linear | undefined] = [1, undefined];
    for (const operand of operands) {
      if (!isLinear(operand)) scale = productOf(scale, operand);
      else if (linear === undefined) linear = operand;
      else fail('expected a product with at most one factor that is not constant, got a non-linear one');
    }
    return linear === undefined ? scale : times(linear, scale);
  },
  '/': ([dividend, ...divisors], fail) => {
    if (divisors.length === 0) fail('expected a division of two operands or more, got 1');
    let quotient = dividend as Term;
    for (const divisor of divisors) {
      if (isLinear(divisor)) fail('expected a division by a constant, got a non-linear one');
      else if (isZero(divisor)) fail('expected a division by a constant other than 0, got 0');
      else quotient = over(quotient, divisor);
    }
    return quotient;
  },
};

/** Shared lists: nearly every constraint of a file is a bound of one variable or the order of two. */
const PLUS = [1];
const MINUS = [-1];
const PLUS_MINUS = [1, -1];
const MINUS_PLUS = [-1, 1];
const COMMON_COEFFICIENTS = [PLUS, MINUS, PLUS_MINUS, MINUS_PLUS];

/** left ≤ right as one constraint; a closure, for the lists of one variable that its constraints share. */
export function createLessOrEqual(): (
  left: Term,
  right: Term,
  fail: (message: string) => never,
  strict?: boolean,
) => LinearConstraint {
  const single = new Map<number, readonly number[]>();
  const merged = new Map<number, Exact>();

  const listOf = (variables: readonly number[]): readonly number[] => {
    if (variables.length !== 1) return variables;
    const variable = variables[0] as number;
    const known = single.get(variable) ?? variables;
    single.set(variable, known);
    return known;
  };

  return (left, right, fail, strict = false) => {
    // left − right ≤ 0; sums are opened from a stack, not by recursion, since they may be nested a million
    // deep.
    const terms: Term[] = [left, right];
    const scales: Exact[] = [1, -1];
    let constant: Exact = 0;
    merged.clear();
    while (terms.length > 0) {
      const term = terms.pop() as Term;
      const scale = scales.pop() as Exact;
      if (!isLinear(term)) constant = sumOf(constant, productOf(scale, term));
      else if ('variable' in term)
        merged.set(term.variable, sumOf(merged.get(term.variable) ?? 0, productOf(scale, term.factor)));
      else {
        const factor = productOf(scale, term.factor);
        constant = sumOf(constant, productOf(factor, term.constant));
        for (const part of term.parts) {
          terms.push(part);
          scales.push(factor);
        }
      }
    }
    for (const [variable, coefficient] of merged) if (isZero(coefficient)) merged.delete(variable);
    const variables = [...merged.keys()].sort((a, b) => a - b);
    const coefficients = variables.map((variable) => nearest(merged.get(variable) as Exact));
    const bound = -nearest(constant) + 0;
    if (![bound, ...coefficients].every(Number.isFinite))
      fail('expected a comparison whose constants stay within float64, got one that overflows');
    const common = COMMON_COEFFICIENTS.find(
      (list) => list.length === coefficients.length && list.every((c, k) => c === coefficients[k]),
    );
    return {
      variables: listOf(variables),
      coefficients: common ?? coefficients,
      bound,
      ...(strict && { strict }),
    };
  };
}
