/** Element-wise arithmetic with broadcasting. */
import { broadcastShapes, broadcastsInto, forEachBroadcast } from '../broadcast.js';
import { apply, fail, type Operator, sameShape, sizeOf, type Tensor } from '../tensor.js';
import { implicitBroadcast, sumTo } from './broadcasting.js';
import { asTensor, uniformValue } from './leaves.js';
import { aligned, liftElementwise } from './member-axis.js';

interface Binary {
  name: string;
  evaluate(a: number, b: number): number;
  gradient(a: Tensor, b: Tensor, g: Tensor, out: Tensor): [Tensor, Tensor];
}

function binary(rule: Binary): Operator {
  return {
    name: rule.name,
    infer(inputs) {
      if (inputs[0]?.dtype !== inputs[1]?.dtype) fail(rule.name, 'inputs of one type', inputs);
      return { shape: broadcastShapes(rule.name, inputs), dtype: (inputs[0] as Tensor).dtype };
    },
    encode: (_, inputs, emit) => emit.node(rule.name, inputs),
    gradient(node, g) {
      const [a, b] = node.inputs as [Tensor, Tensor];
      const [ga, gb] = rule.gradient(a, b, g, node);
      return [sumTo(ga, a.shape), sumTo(gb, b.shape)];
    },
    lift: liftElementwise,
    evaluate(node, [a, b]) {
      const out = new Float64Array(sizeOf(node.shape));
      forEachBroadcast(
        node.shape,
        node.inputs.map((t) => t.shape),
        (i, [j, k]) => {
          out[i] = rule.evaluate(
            (a as Float64Array)[j as number] as number,
            (b as Float64Array)[k as number] as number,
          );
        },
      );
      return node.dtype === 'int32' ? out.map(Math.trunc) : out;
    },
  };
}

const addOperator = binary({ name: 'Add', evaluate: (a, b) => a + b, gradient: (_, __, g) => [g, g] });
const subOperator = binary({ name: 'Sub', evaluate: (a, b) => a - b, gradient: (_, __, g) => [g, neg(g)] });
const mulOperator = binary({
  name: 'Mul',
  evaluate: (a, b) => a * b,
  gradient: (a, b, g) => [mul(g, b), mul(g, a)],
});
const divOperator = binary({
  name: 'Div',
  evaluate: (a, b) => a / b,
  gradient: (_, b, g, out) => [div(g, b), neg(div(mul(g, out), b))],
});

const isNegation = (x: Tensor): boolean => x.operator === negOperator;

type Operand = Tensor | number;
function operands({ name }: Operator, a: Operand, b: Operand): [Tensor, Tensor] {
  const like = typeof a === 'number' ? (b as Tensor) : a;
  return implicitBroadcast(name, [asTensor(a, like), asTensor(b, like)]) as [Tensor, Tensor];
}
/**
 * Whether an operation with a constant that is `neutral` everywhere would change neither the values nor the
 * shape of x.
 */
const unchanged = (x: Tensor, other: Tensor, neutral: number): boolean =>
  x.dtype === other.dtype && uniformValue(other) === neutral && broadcastsInto(other.shape, x.shape);

/** a + b */
export function add(a: Operand, b: Operand): Tensor {
  const [x, y] = operands(addOperator, a, b);
  if (unchanged(x, y, 0)) return x;
  if (unchanged(y, x, 0)) return y;
  if (isNegation(y)) return apply(subOperator, [x, y.inputs[0] as Tensor]);
  return isNegation(x) ? apply(subOperator, [y, x.inputs[0] as Tensor]) : apply(addOperator, [x, y]);
}
/** a − b */
export function sub(a: Operand, b: Operand): Tensor {
  const [x, y] = operands(subOperator, a, b);
  if (unchanged(x, y, 0)) return x;
  return isNegation(y) ? apply(addOperator, [x, y.inputs[0] as Tensor]) : apply(subOperator, [x, y]);
}
/** a · b, element by element */
export function mul(a: Operand, b: Operand): Tensor {
  const [x, y] = operands(mulOperator, a, b);
  if (unchanged(x, y, 1)) return x;
  return unchanged(y, x, 1) ? y : apply(mulOperator, [x, y]);
}
/** a / b, element by element; of integers without the fraction */
export function div(a: Operand, b: Operand): Tensor {
  const [x, y] = operands(divOperator, a, b);
  return unchanged(x, y, 1) ? x : apply(divOperator, [x, y]);
}

const negOperator: Operator = {
  name: 'Neg',
  infer: ([x]) => ({ shape: (x as Tensor).shape, dtype: (x as Tensor).dtype }),
  encode: (_, inputs, emit) => emit.node('Neg', inputs),
  gradient: (_, g) => [neg(g)],
  lift: liftElementwise,
  evaluate: (_, [x]) => (x as Float64Array).map((v) => -v),
};
/** −x */
export const neg = (x: Tensor): Tensor => (isNegation(x) ? (x.inputs[0] as Tensor) : apply(negOperator, [x]));

const sumAllOperator: Operator = {
  name: 'Sum',
  infer(inputs) {
    const first = inputs[0] as Tensor;
    if (inputs.some((t) => t.dtype !== first.dtype || !sameShape(t.shape, first.shape)))
      fail('Sum', 'inputs of one shape and type', inputs);
    return { shape: first.shape, dtype: first.dtype };
  },
  encode: (_, inputs, emit) => emit.node('Sum', inputs),
  gradient: (node, g) => node.inputs.map(() => g),
  // Terms that members share have another shape: they are added one by one, in the same order.
  lift: (node, inputs, lifted) =>
    lifted.every(Boolean)
      ? apply(node.operator, inputs)
      : aligned(node, inputs, lifted).reduce((sum, term) => apply(addOperator, [sum, term])),
  evaluate: (_, inputs) =>
    (inputs[0] as Float64Array).map((_, i) => inputs.reduce((s, x) => s + (x[i] as number), 0)),
};
/** The sum of tensors of one shape, in one pass over memory. */
export function addAll(terms: readonly Tensor[]): Tensor {
  if (terms.length === 1) return terms[0] as Tensor;
  return terms.length === 2 ? add(terms[0] as Tensor, terms[1] as Tensor) : apply(sumAllOperator, terms);
}
