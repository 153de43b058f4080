/**
 * Where an adversary may go: a box of float32 inputs, exactly.
 *
 * A counterexample is worth something only if it lies inside the ball, so the ball's ends are rounded to
 * float32 towards its centre: every float32 between them satisfies |x' − x| ≤ ε in real arithmetic, and a
 * verifier with the same x and ε agrees.
 */
import { type Key, uniforms } from '../runtime/random/keys.js';

export interface AttackBox {
  readonly lower: Float32Array;
  readonly upper: Float32Array;
  /** What step sizes are relative to: ε, or half the width of each coordinate. */
  readonly radius: number | Float32Array;
}

const single = new Float32Array(1);
const word = new Int32Array(single.buffer);

/** The float32 next to v, upwards (direction 1) or downwards (−1); v is finite. */
export function neighbour(v: number, direction: 1 | -1): number {
  if (v === 0) return direction * 2 ** -149;
  single[0] = v;
  word[0] = (word[0] as number) + (v > 0 ? direction : -direction);
  return single[0] as number;
}

/** What rounding to a double took from a − b: a − b = fl(a − b) + this, exactly (Knuth's TwoSum). */
function roundingError(a: number, b: number): number {
  const s = a - b;
  const t = a - s;
  return a - (s + t) + (t - b);
}

/**
 * The L∞ ball of radius ε around every image, cut to [0, 1] unless told otherwise; x [batch, features], ε in
 * pixels of [0, 1].
 * @throws RangeError for ε that is not a number ≥ 0 or, when cut, for pixels outside [0, 1]
 */
export function ball(x: Float32Array, epsilon: number, clip = true): AttackBox {
  if (!(epsilon >= 0 && epsilon < Number.POSITIVE_INFINITY))
    throw new RangeError(`attack: expected a radius ε ≥ 0, got ${epsilon}`);
  const lower = new Float32Array(x.length);
  const upper = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const v = x[i] as number;
    if (clip && !(v >= 0 && v <= 1))
      throw new RangeError(
        `attack: expected pixels in [0, 1], got ${v} at position ${i}; scale the data, or attack without ` +
          'clipping',
      );
    const low = within(v, epsilon, -1);
    const high = within(v, epsilon, 1);
    lower[i] = clip ? Math.max(low, 0) : low;
    upper[i] = clip ? Math.min(high, 1) : high;
  }
  return { lower, upper, radius: epsilon };
}

/** The float32 furthest from v in a direction whose distance from v is at most ε, in real arithmetic. */
function within(v: number, epsilon: number, direction: 1 | -1): number {
  const end = Math.fround(v + direction * epsilon);
  // Rounded to double and then to float32, the end is at most one float32 too far; the distance to v tells,
  // its own rounding included.
  const [far, near] = direction === 1 ? [end, v] : [v, end];
  const distance = far - near;
  const outside = distance > epsilon || (distance === epsilon && roundingError(far, near) > 0);
  return outside ? neighbour(end, direction === 1 ? -1 : 1) : end;
}

/**
 * Any box; steps are relative to half of each coordinate's width.
 * @throws RangeError if the lengths differ or a lower end is above its upper end
 */
export function boxBetween(lower: Float32Array, upper: Float32Array): AttackBox {
  if (lower.length !== upper.length)
    throw new RangeError(
      `attack: expected as many lower as upper ends, got ${lower.length} and ${upper.length}`,
    );
  const radius = new Float32Array(lower.length);
  for (let i = 0; i < lower.length; i++) {
    const width = (upper[i] as number) - (lower[i] as number);
    if (!(width >= 0))
      throw new RangeError(`attack: expected lower ≤ upper, got [${lower[i]}, ${upper[i]}] at position ${i}`);
    radius[i] = width / 2;
  }
  return { lower, upper, radius };
}

/** Puts row `row` of `features` values at a uniformly random place of the box. */
export function randomPoint(
  { lower, upper }: AttackBox,
  key: Key,
  row: number,
  features: number,
  out: Float32Array,
): void {
  const draw = new Float32Array(features);
  uniforms(key, draw);
  for (let k = 0, i = row * features; k < features; k++, i++) {
    const [low, high] = [lower[i] as number, upper[i] as number];
    out[i] = Math.min(high, Math.max(low, low + (draw[k] as number) * (high - low)));
  }
}

/**
 * One signed step in row `row`: x ← projection of x + size · radius ∘ sign(direction) onto the box, in place.
 */
export function signedStep(
  { lower, upper, radius }: AttackBox,
  x: Float32Array,
  direction: Float32Array,
  size: number,
  row: number,
  features: number,
): void {
  for (let i = row * features; i < (row + 1) * features; i++) {
    const slope = direction[i] as number;
    const step = size * (typeof radius === 'number' ? radius : (radius[i] as number));
    const moved = (x[i] as number) + (slope > 0 ? step : slope < 0 ? -step : 0);
    x[i] = Math.min(upper[i] as number, Math.max(lower[i] as number, moved));
  }
}
