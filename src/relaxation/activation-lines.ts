/**
 * Lines below and above a smooth S-shaped function f on [l, u] (for sigmoid and tanh Zhang et al. 2018, arXiv
 * 1811.00866, and the tangents of least area), its interval, and its zonotope (Singh et al. 2018).
 *
 * The line above, with m = (l + u)/2 and t* where the tangent from (min(l, 0), f) touches f:
 *
 *   the chord from l to u,          where f(u) − f(l) ≤ f'(u)(u − l), so that f is below it (u ≤ t*: all of
 *                                   [l, u] convex, or nearly),
 *   the tangent at t = max(t*, m),  else: of the tangents at t ≥ 0 that are above f at l, the one with the
 *                                   least area between.
 *
 * A tangent at t ≥ 0 is above the concave half; the convex half is below it if its end l is. Newton's method
 * finds t* to the last digits, and whatever t it finds, the tangent is raised to f(l), so that soundness does
 * not rest on it. The line below is the line above −f(−x), mirrored. All of it is continuous in l and u, and
 * differentiable through them. Every line is moved outwards by a slack for the rounding of f and of the line
 * itself, whose terms are at most 2 in size.
 *
 * α-CROWN chooses the tangent itself (Xu et al. 2021): at t = t₀ + p (u − t₀) with p ∈ [0, 1] and t₀ =
 * max(t*, l, 0), which are all the tangents at points of [l, u] that are above f there.
 */
import {
  add,
  div,
  type FloatType,
  greater,
  maximum,
  minimum,
  mul,
  neg,
  relu,
  stopGradient,
  sub,
  type Tensor,
  where,
  withGradient,
} from '../graph/index.js';
import {
  type ActivationFunction,
  type ActivationName,
  activationFunctions,
} from '../network/activations/index.js';
import type { Bounds } from './relaxation.js';
import type { Slopes } from './slopes.js';

/** Twelve units in the last place of 1: runtimes approximate f to a few of them. */
const SLACK: Readonly<Record<FloatType, number>> = { float32: 12 * 2 ** -23, float64: 12 * 2 ** -52 };
/**
 * Up to this width the chord's quotient loses digits, and a line of slope f'(m) above both ends and m is
 * above f but for |f'''| (u − l)³/24.
 */
const NARROW: Readonly<Record<FloatType, number>> = { float32: 1e-2, float64: 2e-5 };
/** Keeps 0/0 away where the tangent from 0 touches at 0. */
const TINY = 1e-30;
const NEWTON_STEPS = 6;

const slackOf = (x: Tensor): number => SLACK[x.dtype as FloatType];

/** −f(−x): the same shape, turned by half a turn. */
const turned = ({
  value,
  derivative,
  secondDerivative,
  ...rest
}: ActivationFunction): ActivationFunction => ({
  ...rest,
  value: (x) => neg(value(neg(x))),
  derivative: (x) => derivative(neg(x)),
  secondDerivative: (x) => neg(secondDerivative(neg(x))),
});

/**
 * t*(l) ≥ 0 for l ≤ 0: the root of G(t) = f(t) − f'(t)(t − l) − f(l), which grows with t, G' = −f''(t)(t −
 * l), and is in [0, −l]. By the implicit function theorem dt/dl = (f'(t) − f'(l))/(f''(t)(t − l)).
 */
function touchingPoint(f: ActivationFunction, l: Tensor): Tensor {
  const start = stopGradient(l);
  const reach = neg(start);
  const base = f.value(start);
  let t = minimum(f.touching(reach), reach);
  for (let step = 0; step < NEWTON_STEPS; step++) {
    const length = sub(t, start);
    const error = sub(sub(f.value(t), mul(f.derivative(t), length)), base);
    const growth = maximum(neg(mul(f.secondDerivative(t), length)), TINY);
    t = minimum(relu(sub(t, div(error, growth))), reach);
  }
  const found = stopGradient(t);
  return withGradient(found, [l], (g) => {
    const bend = maximum(neg(mul(f.secondDerivative(found), sub(found, start))), TINY);
    return [mul(g, div(sub(f.derivative(start), f.derivative(found)), bend))];
  });
}

interface Line {
  readonly slope: Tensor;
  readonly intercept: Tensor;
}

/** t₀ = max(t*, l, 0), the first point whose tangent is above f on [l, u], and max(t*, m), CROWN's. */
function tangentPoints(f: ActivationFunction, { lower, upper }: Bounds) {
  const touching = touchingPoint(f, minimum(lower, 0));
  return { first: maximum(touching, relu(lower)), chosen: maximum(touching, mul(add(lower, upper), 0.5)) };
}

/** The share p of CROWN's tangent, in [0, 1]. */
function chosenShare(f: ActivationFunction, bounds: Bounds): Tensor {
  const { first, chosen } = tangentPoints(f, bounds);
  const room = maximum(sub(bounds.upper, first), TINY);
  return stopGradient(minimum(maximum(div(sub(chosen, first), room), 0), 1));
}

/** What the line above is, but for its tangent. */
interface Shape {
  /** f'(t), and the least intercept with which a line of that slope is above f. */
  tangentAt(t: Tensor): Line;
  readonly first: Tensor;
  readonly chosen: Tensor;
  /** Whether the line is a tangent: f bulges above the chord, and [l, u] is not narrow. */
  readonly bulges: Tensor;
  readonly wide: Tensor;
  /** The line where it is none, on a wide and on a narrow interval. */
  readonly chordal: Line;
  readonly narrowed: Line;
}

function shapeAbove(f: ActivationFunction, { lower, upper }: Bounds): Shape {
  const [low, high] = [f.value(lower), f.value(upper)];
  const width = sub(upper, lower);
  const middle = mul(add(lower, upper), 0.5);
  const narrow = NARROW[lower.dtype as FloatType];
  /** The least intercept with which a line of this slope is above the function at all of the points. */
  const over = (slope: Tensor, ...points: readonly (readonly [x: Tensor, y: Tensor])[]): Line => ({
    slope,
    intercept: points.map(([x, y]) => sub(y, mul(slope, x))).reduce((a, b) => maximum(a, b)),
  });
  const [left, right] = [[lower, low] as const, [upper, high] as const];
  const bulge = sub(sub(high, low), mul(f.derivative(upper), width));
  return {
    ...tangentPoints(f, { lower, upper }),
    tangentAt: (t) => over(f.derivative(t), [t, f.value(t)], left),
    bulges: greater(where(greater(upper, 0), bulge, -1), 0),
    wide: greater(width, narrow),
    chordal: over(div(sub(high, low), maximum(width, narrow)), left),
    narrowed: over(f.derivative(middle), [middle, f.value(middle)], left, right),
  };
}

/** t = t₀ + p (u − t₀). */
const tangentPoint = (first: Tensor, room: Tensor, share: Tensor): Tensor => add(first, mul(share, room));

function lineAbove(f: ActivationFunction, bounds: Bounds, share?: Tensor): Line {
  const { first, chosen, tangentAt, bulges, wide, chordal, narrowed } = shapeAbove(f, bounds);
  const room = relu(sub(bounds.upper, first));
  const tangent = tangentAt(share === undefined ? chosen : tangentPoint(first, room, share));
  const choose = (of: keyof Line) => where(wide, where(bulges, tangent[of], chordal[of]), narrowed[of]);
  return { slope: choose('slope'), intercept: add(choose('intercept'), slackOf(bounds.lower)) };
}

/** Which tangents lines are, as shares p ∈ [0, 1]; where a line is none, its share says nothing. */
export interface TangentShares {
  readonly above: Tensor;
  readonly below: Tensor;
}

const mirrored = ({ lower, upper }: Bounds): Bounds => ({ lower: neg(upper), upper: neg(lower) });

/** The shares of the lines that `activationLines` chooses itself. */
export function chosenTangents(name: ActivationName, bounds: Bounds): TangentShares {
  const f = activationFunctions[name];
  return { above: chosenShare(f, bounds), below: chosenShare(turned(f), mirrored(bounds)) };
}

/**
 * Lines below and above the function on [lower, upper], element by element; with `shares`, which broadcast
 * with the bounds, the tangents that they say.
 */
export function activationLines(name: ActivationName, bounds: Bounds, shares?: TangentShares): Slopes {
  const f = activationFunctions[name];
  const above = lineAbove(f, bounds, shares?.above);
  const below = lineAbove(turned(f), mirrored(bounds), shares?.below);
  return {
    lower: below.slope,
    lowerIntercept: neg(below.intercept),
    upper: above.slope,
    intercept: above.intercept,
  };
}

/** Computes a tensor once and reads it by name. */
type Sharing = (name: string, value: Tensor) => Tensor;

/** The line above for any share, of arrays that are computed once: a tangent or, where it is none, `rest`. */
function movableLineAbove(f: ActivationFunction, bounds: Bounds, once: Sharing) {
  const { first, bulges, wide, chordal, narrowed } = shapeAbove(f, bounds);
  const one = add(mul(first, 0), 1);
  const tangential = where(wide, where(bulges, one, mul(one, 0)), mul(one, 0));
  const rest = (of: keyof Line) => mul(where(wide, chordal[of], narrowed[of]), sub(1, tangential));
  const [start, room] = [once('first', first), once('room', relu(sub(bounds.upper, first)))];
  const [low, left] = [once('low', f.value(bounds.lower)), once('left', mul(bounds.lower, 1))];
  const mask = once('tangential', tangential);
  const slopeElse = once('slope', rest('slope'));
  const interceptElse = once('intercept', add(rest('intercept'), slackOf(bounds.lower)));
  return (share: Tensor): Line => {
    const t = tangentPoint(start, room, share);
    const slope = f.derivative(t);
    const intercept = maximum(sub(f.value(t), mul(slope, t)), sub(low, mul(slope, left)));
    return {
      slope: add(mul(slope, mask), slopeElse),
      intercept: add(mul(intercept, mask), interceptElse),
    };
  };
}

/**
 * `activationLines` for shares that change: what depends on the bounds alone is computed once, by `once`,
 * which is given each array's name.
 */
export function movableLines(
  name: ActivationName,
  bounds: Bounds,
  once: Sharing,
): (shares: TangentShares) => Slopes {
  const f = activationFunctions[name];
  const above = movableLineAbove(f, bounds, (what, value) => once(`above ${what}`, value));
  const below = movableLineAbove(turned(f), mirrored(bounds), (what, value) => once(`below ${what}`, value));
  return (shares) => {
    const [over, under] = [above(shares.above), below(shares.below)];
    return {
      lower: under.slope,
      lowerIntercept: neg(under.intercept),
      upper: over.slope,
      intercept: over.intercept,
    };
  };
}

/** Interval of the function's values: it is increasing. */
export function activationInterval(name: ActivationName, { lower, upper }: Bounds): Bounds {
  const { value } = activationFunctions[name];
  return { lower: sub(value(lower), slackOf(lower)), upper: add(value(upper), slackOf(upper)) };
}

/**
 * λ x + μ ± ν around the function: λ = min(f'(l), f'(u)), the least slope on [l, u], so that f(x) − λ x grows
 * with x between its ends μ ∓ ν. As an interval it is [f(l), f(u)].
 */
export function activationStrip(
  name: ActivationName,
  { lower, upper }: Bounds,
): { slope: Tensor; centre: Tensor; radius: Tensor } {
  const { value, derivative } = activationFunctions[name];
  const slope = minimum(derivative(lower), derivative(upper));
  const least = sub(value(lower), mul(slope, lower));
  const greatest = sub(value(upper), mul(slope, upper));
  return {
    slope,
    centre: mul(add(least, greatest), 0.5),
    radius: add(mul(relu(sub(greatest, least)), 0.5), slackOf(lower)),
  };
}
