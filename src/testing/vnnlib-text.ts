/**
 * Random VNN-LIB formulas for tests: printed in many styles, and evaluated by their own meaning, without the
 * reader.
 *
 * Constants are small multiples of 1/4 and points multiples of 1/2, so that float64 computes all of it
 * exactly.
 */
import fc from 'fast-check';

/**
 * An arithmetic or logical form; `text` is a number or a variable as printed, `value` its meaning at a point.
 */
export type Formula =
  | { readonly text: string; readonly value: (at: Point) => number }
  | { readonly operator: string; readonly operands: readonly Formula[] };

export interface Point {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
}

/** Ways to write a constant. */
const constant = fc.integer({ min: -12, max: 12 }).chain((quarters) => {
  const value = quarters / 4;
  const magnitude = Math.abs(value);
  const negative = `(- ${magnitude})`;
  const texts = [
    `${value}`,
    value.toFixed(2),
    value.toExponential(),
    value.toExponential().toUpperCase(),
    `${value.toFixed(1 + (quarters & 1))}0`,
  ];
  return fc
    .constantFrom(
      ...texts.filter((text) => Number(text) === value),
      ...(value < 0 ? [negative] : [`+${value}`]),
    )
    .map((text) => leaf(text, () => value));
});

const leaf = (text: string, value: (at: Point) => number): Formula => ({ text, value });
const form = (operator: string, ...operands: readonly Formula[]): Formula => ({ operator, operands });

const variable = (inputs: number, outputs: number) =>
  fc
    .nat(inputs + outputs - 1)
    .map((k) =>
      k < inputs
        ? leaf(`X_${k}`, ({ x }) => x[k] as number)
        : leaf(`Y_${k - inputs}`, ({ y }) => y[k - inputs] as number),
    );

/** A term of a few operators. */
function term(inputs: number, outputs: number): fc.Arbitrary<Formula> {
  const { linear } = fc.letrec<{ linear: Formula }>((tie) => ({
    linear: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      variable(inputs, outputs),
      constant,
      fc.array(tie('linear'), { minLength: 1, maxLength: 3 }).map((operands) => form('+', ...operands)),
      fc.array(tie('linear'), { minLength: 1, maxLength: 3 }).map((operands) => form('-', ...operands)),
      fc
        .tuple(constant, tie('linear'), fc.boolean())
        .map(([c, t, first]) => (first ? form('*', c, t) : form('*', t, c))),
      fc.tuple(tie('linear'), fc.constantFrom(2, -2, 4)).map(([t, c]) =>
        form(
          '/',
          t,
          leaf(`${c}`, () => c),
        ),
      ),
    ),
  }));
  return linear;
}

/** A constraint of `and`, `or` and comparisons. */
export function formula(inputs: number, outputs: number): fc.Arbitrary<Formula> {
  const side = term(inputs, outputs);
  const { tree } = fc.letrec<{ tree: Formula }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc
        .tuple(fc.constantFrom('<=', '>=', '<=', '>=', '='), fc.array(side, { minLength: 2, maxLength: 3 }))
        .map(([operator, sides]) => form(operator, ...sides)),
      fc
        .tuple(fc.constantFrom('<=', '>='), variable(inputs, outputs), constant)
        .map(([operator, v, c]) => form(operator, v, c)),
      fc
        .tuple(fc.constantFrom('and', 'or'), fc.array(tie('tree'), { minLength: 1, maxLength: 3 }))
        .map(([operator, parts]) => form(operator, ...parts)),
    ),
  }));
  return tree;
}

const ARITHMETIC: Readonly<Record<string, (values: readonly number[]) => number>> = {
  '+': (values) => values.reduce((a, b) => a + b),
  '-': ([first = 0, ...rest]) => (rest.length === 0 ? -first : rest.reduce((a, b) => a - b, first)),
  '*': (values) => values.reduce((a, b) => a * b),
  '/': (values) => values.reduce((a, b) => a / b),
};
const evaluate = (term: Formula, at: Point): number =>
  'text' in term
    ? term.value(at)
    : (ARITHMETIC[term.operator] as (values: readonly number[]) => number)(
        term.operands.map((operand) => evaluate(operand, at)),
      );

/** Whether a constraint is true at a point. */
export function holds(constraint: Formula, at: Point): boolean {
  if ('text' in constraint) throw new Error('expected a constraint, got a term');
  const { operator, operands } = constraint;
  if (operator === 'and') return operands.every((operand) => holds(operand, at));
  if (operator === 'or') return operands.some((operand) => holds(operand, at));
  const values = operands.map((operand) => evaluate(operand, at));
  return values.slice(1).every((right, k) => {
    const left = values[k] as number;
    return operator === '=' ? left === right : operator === '<=' ? left <= right : left >= right;
  });
}

/**
 * The formula as text; `space(k)` is what stands at the k-th place where SMT-LIB wants or allows white space.
 */
export function print(formula: Formula, space: (k: number) => string = () => ' '): string {
  let places = 0;
  const write = (f: Formula): string =>
    'text' in f
      ? f.text
      : `(${f.operator}${space(places++) || ' '}${f.operands.map(write).join(space(places++) || ' ')}${space(places++)})`;
  return write(formula);
}

/** White space and comments of all kinds. */
export const spaces = fc
  .array(fc.constantFrom('', ' ', '\n', '\t', '\r\n', ' ; (assert (or\n', '  '), {
    minLength: 1,
    maxLength: 12,
  })
  .map((list) => (k: number) => list[k % list.length] as string);

/** Declarations of so many inputs and outputs. */
export const declarations = (inputs: number, outputs: number): string =>
  [
    ...Array.from({ length: inputs }, (_, i) => `X_${i}`),
    ...Array.from({ length: outputs }, (_, j) => `Y_${j}`),
  ]
    .map((name) => `(declare-const ${name} Real)\n`)
    .join('');

/** lower ≤ X_i ≤ upper for every input. */
export const boxAsserts = (inputs: number, lower: number, upper: number): string =>
  Array.from(
    { length: inputs },
    (_, i) => `(assert (>= X_${i} ${lower}))\n(assert (<= X_${i} ${upper}))\n`,
  ).join('');
