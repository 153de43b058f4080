/** Mul and Div: by constants, and by what fixed inputs decide. */
import { batchAxisOf } from './arrangement.js';
import { seesDecided } from './decided.js';
import { type DoubleDouble, doubles, entry, quotient } from './double-double.js';
import { type Activation, append, extentsOf } from './draft.js';
import { arithmetic, enlarged, isActivation } from './elementwise.js';
import { fixedValues } from './fixed.js';
import { type Call, type OperatorReader, refuse } from './operator.js';
import { elementwiseAffine, materialized } from './view.js';

/** What a product or quotient makes of its second factor. */
interface Scaling {
  readonly kind: 'product' | 'quotient';
  readonly factorOf: (m: DoubleDouble) => DoubleDouble;
}

/** x∘m or x/m of decided values, or where m is fixed, by the factors that m makes. */
function withFixed(
  call: Call,
  [a, b]: readonly [Activation, Activation],
  { kind, factorOf }: Scaling,
): Activation | undefined {
  const { draft, fixed } = call;
  if (fixed === undefined) return undefined;
  if (seesDecided(draft, a, fixed) && seesDecided(draft, b, fixed)) {
    const [x, m] = [a, b].map((one) => materialized(draft, enlarged(call, one))) as [Activation, Activation];
    if (batchAxisOf(call, x) === batchAxisOf(call, m)) {
      const inputs = [x.node, m.node];
      return { ...x, ...append(draft, { kind, inputs, output: extentsOf(x.shape) }, x.shape) };
    }
  }
  for (const [x, m] of kind === 'product' ? [[a, b] as const, [b, a] as const] : [[a, b] as const]) {
    const spread = enlarged(call, m);
    const values = fixedValues(draft, spread, fixed);
    if (values === undefined) continue;
    const factors = doubles(values.high.length, (i) => factorOf(entry(values, i)));
    if (!factors.high.every(Number.isFinite)) refuse(call, 'divisors other than 0', '0, which the box fixes');
    const shifts = new Float64Array(factors.high.length);
    // Networks of other numbers are to have the same layers.
    return elementwiseAffine(draft, enlarged(call, x), factors, shifts, true);
  }
  return undefined;
}

/** Products and quotients of activations, of which one is fixed; else of an activation and a constant. */
const scaling = (by: Scaling, otherwise: OperatorReader): OperatorReader => ({
  attributes: [],
  read(call) {
    const [a, b] = call.inputs;
    if (call.inputs.length !== 2 || !isActivation(a) || !isActivation(b)) return otherwise.read(call);
    return withFixed(call, [a, b], by) ?? otherwise.read(call);
  },
});

export const scalingOperators: Readonly<Record<string, OperatorReader>> = {
  Mul: scaling(
    { kind: 'product', factorOf: (m) => m },
    arithmetic(
      (c) => [c, 0],
      (a, b) => a * b,
    ),
  ),
  Div: scaling(
    { kind: 'quotient', factorOf: (m) => quotient([1, 0], m) },
    arithmetic(
      (c, first) => (first ? undefined : [quotient([1, 0], [c, 0]), 0]),
      (a, b) => a / b,
    ),
  ),
};
