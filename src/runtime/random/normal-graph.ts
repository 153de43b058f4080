/**
 * Standard normal numbers as graph operators: the numbers of `normals` made where the programs run, from keys
 * alone.
 *
 * z = Φ⁻¹((b + ½)/2³² + ½) of the same words b by the same approximations (Wichura, AS 241, PPND7), in
 * float32: of 2²⁴ numbers on the processor and 2²¹ on WebGPU in software none was more than 5 units in the
 * last place from the host's.
 */
import {
  add,
  concat,
  constant,
  div,
  greater,
  log,
  maximum,
  mul,
  neg,
  sign,
  sqrt,
  sub,
  type Tensor,
  toFloat,
  where,
} from '../../graph/index.js';
import { CENTRAL } from './normals.js';
import { wordsOf } from './threefry-graph.js';

const integer = (value: number): Tensor => constant(Int32Array.of(value), [], 'int32');

/** Coefficients from the highest power down; Horner's scheme. */
const polynomial = (coefficients: readonly [number, number, ...number[]], r: Tensor): Tensor => {
  const [highest, ...rest] = coefficients;
  return rest.reduce<Tensor | number>(
    (sum, coefficient) => add(mul(sum as Tensor, r), coefficient),
    highest,
  ) as Tensor;
};

/** (w + ½)/2³² of int32 words. */
const centred = (words: Tensor): Tensor => mul(add(toFloat(words), 0.5), 2 ** -32);

/** The normal numbers of int32 words of any shape. */
export function normalsOfWords(words: Tensor): Tensor {
  const q = centred(words);
  const r = sub(0.180625, mul(q, q));
  const central = div(
    mul(q, polynomial([59.10937472, 159.29113202, 50.434271938, 3.3871327179], r)),
    polynomial([67.1875636, 78.757757664, 17.895169469, 1], r),
  );
  // b or −1 − b, whichever is not negative: |q| = (size + ½)/2³², and ½ − |q| = (2³¹ − 1 − size + ½)/2³²
  // without cancellation.
  const size = maximum(words, sub(integer(-1), words));
  const t = sub(sqrt(neg(log(centred(sub(integer(2 ** 31 - 1), size))))), 1.6);
  const tail = div(
    polynomial([0.17023821103, 1.3067284816, 2.75681539, 1.4234372777], t),
    polynomial([0.12021132975, 0.7370016425, 1], t),
  );
  return where(greater(size, integer(CENTRAL)), mul(sign(q), tail), central);
}

/**
 * z_{2 · block + start + i}(key), i < count, of every key: float32 [members, count], the numbers of
 * `fillNormals` to rounding. `keys` is int32 [members, 2] (`keyWords`); `block`, int32 [1], is a place that
 * is known only when the program runs.
 */
export const normalsOf = (keys: Tensor, count: number, start = 0, block?: Tensor): Tensor =>
  normalsOfWords(wordsOf(keys, count, start, block));

/**
 * θ + σ∘z of every member, then θ − σ∘z of every member: [2 · members, size]. `z` is [members, size], `theta`
 * [size], `sigma` [] or [size].
 */
export function antithetic(theta: Tensor, z: Tensor, sigma: Tensor): Tensor {
  const shift = mul(z, sigma);
  return concat([add(theta, shift), sub(theta, shift)], 0);
}

/** `antithetic` with z made of keys; `theta` holds the coordinates from number `start` on of the whole θ. */
export const perturbed = (theta: Tensor, keys: Tensor, sigma: Tensor, start = 0): Tensor =>
  antithetic(theta, normalsOf(keys, theta.shape[0] as number, start), sigma);
