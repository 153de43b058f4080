/**
 * Numbers for the shape of a loss along a line: tightness, continuity and sensitivity (Jovanović et al. 2022,
 * arXiv 2102.06700), and roughness.
 *
 * A jump is told from a slope by bisection: where the function is Lipschitz, the difference over an interval
 * halves with it; where it jumps, the difference over the half that holds the jump stays.
 */

/** Halvings of an interval in search of a jump. */
const HALVINGS = 10;
/** What is left of a difference after all halvings is a jump from so many times the slope's share on. */
const STEEPER = 8;
/** Differences below this share of the value are rounding errors of float32. */
const ROUNDING = 4e-6;

/** Discontinuities of a function along a line. */
export interface Jumps {
  /** Intervals between neighbouring points that were searched, those of the largest differences. */
  readonly searched: number;
  /** Intervals in which a jump was found. */
  readonly count: number;
  /** Size of the largest jump; 0 without one. */
  readonly largest: number;
  /** Σ of the sizes. */
  readonly total: number;
}

export interface Measures {
  /** Mean over the line of L − the least L of all relaxations there: 0 for the tightest. */
  readonly tightness: number;
  /** Continuity: fewer and smaller jumps are better. */
  readonly jumps: Jumps;
  /** Sensitivity: root mean square of ΔL/Δt between neighbouring points. */
  readonly sensitivity: number;
  /** Rms of second differences over rms of first ones: 0 for a straight line, √3 for white noise. */
  readonly roughness: number;
}

type Line = (t: number) => Promise<number>;

/** The size of a jump between two points, or 0. */
async function jumpWithin(line: Line, from: [number, number], to: [number, number]): Promise<number> {
  let [[a, fa], [b, fb]] = [from, to];
  const whole = Math.abs(fb - fa);
  for (let k = 0; k < HALVINGS; k++) {
    const middle = (a + b) / 2;
    const value = await line(middle);
    if (Math.abs(value - fa) >= Math.abs(fb - value)) [b, fb] = [middle, value];
    else [a, fa] = [middle, value];
  }
  const left = Math.abs(fb - fa);
  const least = Math.max(STEEPER * whole * 2 ** -HALVINGS, ROUNDING * Math.max(Math.abs(fa), Math.abs(fb)));
  return left > least ? left : 0;
}

/** Searches the `most` intervals with the largest differences for jumps. */
export async function jumpsOf(
  line: Line,
  t: readonly number[],
  values: readonly number[],
  most: number,
): Promise<Jumps> {
  const point = (i: number): [number, number] => [t[i] as number, values[i] as number];
  const difference = (i: number): number => Math.abs((values[i + 1] as number) - (values[i] as number));
  const intervals = Array.from({ length: t.length - 1 }, (_, i) => i)
    .sort((i, j) => difference(j) - difference(i) || i - j)
    .slice(0, most);
  const sizes = await Promise.all(intervals.map((i) => jumpWithin(line, point(i), point(i + 1))));
  return {
    searched: intervals.length,
    count: sizes.filter((size) => size > 0).length,
    largest: Math.max(0, ...sizes),
    total: sizes.reduce((sum, size) => sum + size, 0),
  };
}

const rms = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / Math.max(1, values.length));
const differences = (values: readonly number[]): number[] =>
  values.slice(1).map((value, i) => value - (values[i] as number));

/** Root mean square of ΔL/Δt over points of equal distance. */
export const sensitivityOf = (t: readonly number[], values: readonly number[]): number =>
  rms(differences(values)) / Math.abs((t[1] as number) - (t[0] as number));

export function roughnessOf(values: readonly number[]): number {
  const first = rms(differences(values));
  return first === 0 ? 0 : rms(differences(differences(values))) / first;
}

/** Mean over the points of each curve's distance to the least of all curves. */
export function tightnessOf(curves: readonly (readonly number[])[]): number[] {
  return curves.map(
    (curve) =>
      curve.reduce(
        (sum, value, i) => sum + value - Math.min(...curves.map((other) => other[i] as number)),
        0,
      ) / curve.length,
  );
}
