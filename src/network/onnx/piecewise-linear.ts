/**
 * LeakyRelu, PRelu, Clip, Abs, Min, Max: piecewise linear functions as compositions of ReLUs, exactly.
 *
 *   leaky(x) = a x + (1 − a) relu(x),   |x| = 2 relu(x) − x
 *   max(a, b) = b + relu(a − b),   min(a, b) = b − relu(b − a)
 *   clip(x) = h − relu(h − l − relu(x − l))
 *
 * Nothing else about them is special: every relaxation is what it is for ReLUs and sums, and deciding the
 * signs of ReLUs decides them. Of the forms a function has, these have the fewest ReLUs; clip's is a chain,
 * on which intervals are exact.
 */
import { doubles, plus } from './double-double.js';
import type { Activation } from './draft.js';
import { sizeOf, type Value } from './draft.js';
import {
  constantPerFeature,
  enlarged,
  isActivation,
  joined,
  ofConstants,
  shifted,
  times,
} from './elementwise.js';
import {
  anyActivation,
  type Call,
  describeValue,
  floats,
  type OperatorReader,
  real,
  refuse,
} from './operator.js';
import { elementwiseAffine, pointwise } from './view.js';

/** The activation as something that is read more than once: its node stays as it is. */
const shared = (x: Activation): Activation => ({ ...x, exclusive: false });

const relu = (call: Call, x: Activation): Activation =>
  pointwise(call.draft, x, (inputs, output) => ({ kind: 'relu', inputs, output }));

/** a∘x + (1 − a)∘relu(x), one a per feature. */
function leaky(call: Call, given: Activation, slopes: Float64Array): Activation {
  if (slopes.every((a) => a === 0)) return relu(call, given);
  const x = shared(given);
  const none = new Float64Array(slopes.length);
  const bent = elementwiseAffine(
    call.draft,
    relu(call, x),
    doubles(slopes.length, (i) => plus([1, 0], [-(slopes[i] as number), 0])),
    none,
  );
  return joined(call, [elementwiseAffine(call.draft, x, slopes, none), bent]);
}

/**
 * sign · max(sign·a, sign·b) = b + sign·relu(sign·(a − b)): the maximum, or with sign −1 the minimum, of
 * activations of one shape.
 */
export function extremumOf(call: Call, a: Activation, given: Activation, sign: 1 | -1): Activation {
  const b = shared(given);
  const difference = joined(
    call,
    sign === 1 ? [shared(a), times(call, b, -1)] : [times(call, shared(a), -1), b],
  );
  return joined(call, [b, times(call, relu(call, difference), sign)]);
}

/** The same with constants c, one per feature: c + sign·relu(sign·(x − c)). */
function extremumWith(call: Call, x: Activation, c: Float64Array, sign: 1 | -1): Activation {
  const factors = new Float64Array(c.length).fill(sign);
  const above = elementwiseAffine(
    call.draft,
    x,
    factors,
    c.map((value) => -sign * value),
  );
  return elementwiseAffine(call.draft, relu(call, above), factors, c);
}

const extremum = (sign: 1 | -1): OperatorReader => ({
  attributes: [],
  read(call) {
    const given = call.inputs.map((value) => value ?? refuse(call, 'inputs', 'one that is left out'));
    if (!given.some(isActivation))
      return given.reduce((a: Value, b: Value) =>
        ofConstants({ ...call, inputs: [a, b] }, sign === 1 ? Math.max : Math.min),
      );
    const [first, ...others] = given.filter(isActivation).map((x) => enlarged(call, x));
    let result = others.reduce((a, b) => extremumOf(call, a, b, sign), first as Activation);
    given.forEach((value, index) => {
      if (!isActivation(value))
        result = extremumWith(call, result, constantPerFeature(call, index, result), sign);
    });
    return result;
  },
});

/** Ends beyond which float32 has no numbers are what old opsets write for none. */
const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/** One end of Clip: input `index`, or before opset 11 the attribute; undefined for none. */
function end(call: Call, name: 'min' | 'max', index: number): number | undefined {
  const none = name === 'min' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  let value = real(call, name, none);
  if (call.inputs[index] !== undefined) {
    const { values } = floats(call, index);
    if (values.length !== 1) refuse(call, `one number as ${name}`, `${values.length}`);
    value = values[0] as number;
  }
  if (Number.isNaN(value)) refuse(call, `a number as ${name}`, 'NaN');
  return Math.abs(value) >= LARGEST_FLOAT32 && Math.sign(value) === Math.sign(none) ? undefined : value;
}

const clip: OperatorReader = {
  attributes: ['min', 'max'],
  read(call) {
    const x = anyActivation(call);
    const [low, high] = [end(call, 'min', 1), end(call, 'max', 2)];
    if ((low ?? Number.NEGATIVE_INFINITY) > (high ?? Number.POSITIVE_INFINITY))
      refuse(call, 'min ≤ max', `${low} and ${high}`);
    const size = sizeOf(x.shape);
    const everywhere = (value: number) => new Float64Array(size).fill(value);
    if (high === undefined) return low === undefined ? x : extremumWith(call, x, everywhere(low), 1);
    if (low === undefined) return extremumWith(call, x, everywhere(high), -1);
    const above = relu(call, shifted(call, x, -low));
    const width = doubles(size, () => plus([high, 0], [-low, 0]));
    const below = relu(call, elementwiseAffine(call.draft, above, everywhere(-1), width));
    return elementwiseAffine(call.draft, below, everywhere(-1), everywhere(high));
  },
};

const absolute: OperatorReader = {
  attributes: [],
  read(call) {
    const x = shared(anyActivation(call));
    return joined(call, [times(call, x, -1), times(call, relu(call, x), 2)]);
  },
};

const leakyRelu: OperatorReader = {
  attributes: ['alpha'],
  read(call) {
    const x = anyActivation(call);
    return leaky(call, x, new Float64Array(sizeOf(x.shape)).fill(real(call, 'alpha', 0.01)));
  },
};

const parametricRelu: OperatorReader = {
  attributes: [],
  read(call) {
    const x = anyActivation(call);
    if (isActivation(call.inputs[1])) refuse(call, 'constant slopes', describeValue(call.inputs[1]));
    return leaky(call, x, constantPerFeature(call, 1, x));
  },
};

export const piecewiseLinearOperators: Readonly<Record<string, OperatorReader>> = {
  Abs: absolute,
  Clip: clip,
  LeakyRelu: leakyRelu,
  Max: extremum(1),
  Min: extremum(-1),
  PRelu: parametricRelu,
};
