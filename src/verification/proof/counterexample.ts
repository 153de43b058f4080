/**
 * Counterexamples: an input of a polytope's box whose outputs, of the user's own model, are unsafe. Nothing
 * else is ever called one.
 *
 * Searches run in float32 and on our reading of the model, so what they find is a candidate only. It is moved
 * into the box in float64, where the box is exact, given to the model as the nearest float32, and its
 * inequalities are evaluated in float64 on what the model then answers: what anybody sees who prints the
 * input, reads it back and runs the file.
 */
import { type Polytope, violation } from '../property/property.js';

/** An input with what the model makes of it. */
export interface Counterexample {
  /** Inside the box, in float64. */
  readonly input: Float64Array;
  /** The model's outputs at the nearest float32 of the input. */
  readonly output: Float64Array;
  /** Number of the property's polytope that it is in. */
  readonly polytope: number;
}

/** Outputs of the model at x. */
export type Evaluate = (x: Float32Array) => Promise<ArrayLike<number>>;

/** The point of a box nearest to x. */
export function clampInto({ lower, upper }: Polytope['box'], x: ArrayLike<number>): Float64Array {
  return Float64Array.from(lower, (low, i) => Math.min(upper[i] as number, Math.max(low, x[i] as number)));
}

/** Whether an input of the box fulfils every inequality, the strict ones strictly. */
function isUnsafe(polytope: Polytope, x: Float64Array, y: Float64Array): boolean {
  const { box, unsafe, strictInputs = [] } = polytope;
  return (
    strictInputs.every(({ input, sign, bound }) => sign * (x[input] as number) < sign * bound) &&
    violation(polytope, x, y) <= 0 &&
    unsafe.every((one) => !one.strict || violation({ box, unsafe: [one] }, x, y) < 0)
  );
}

/**
 * The counterexample that a candidate x is for polytope number `index`, or undefined if it is none.
 * Outputs that are no finite numbers prove nothing.
 */
export async function confirm(
  polytope: Polytope,
  index: number,
  x: ArrayLike<number>,
  evaluate: Evaluate,
): Promise<Counterexample | undefined> {
  const input = clampInto(polytope.box, x);
  if (!input.every(Number.isFinite)) return undefined;
  const output = Float64Array.from(await evaluate(Float32Array.from(input)));
  return output.every(Number.isFinite) && isUnsafe(polytope, input, output)
    ? { input, output, polytope: index }
    : undefined;
}
