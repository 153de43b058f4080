/**
 * One parameter of a search: a choice of values or a range of numbers, perhaps only under a condition.
 *
 * A draw is a function of u ∈ [0, 1): linear ranges give from + u·(to − from), logarithmic ones
 * from·(to/from)^u, integers the same with every whole number of the range equally likely (by its share of
 * the logarithmic axis on that scale). Numbers that need not be whole are rounded to four significant digits,
 * so that a command that repeats a trial can be read.
 */

/** A value of a parameter. */
export type ParameterValue = string | number | boolean | readonly number[];

/** Names of parameters to their values. */
export type Assignment = Readonly<Record<string, ParameterValue>>;

/** Which values other parameters must have for a parameter to exist; all of them. */
export type Condition = Readonly<Record<string, readonly ParameterValue[]>>;

/** One of several values. */
export interface Choice {
  readonly values: readonly ParameterValue[];
  readonly when?: Condition;
}

/** A number between two others, both included. */
export interface Range {
  readonly from: number;
  readonly to: number;
  /** Default linear; log needs from > 0. */
  readonly scale?: 'linear' | 'log';
  /** Whole numbers only (default: any). */
  readonly integer?: boolean;
  /** Points of a grid (default for integers on a linear scale: all of them). */
  readonly steps?: number;
  readonly when?: Condition;
}

/** What a search may vary: a choice or a range. */
export type Parameter = Choice | Range;

export const isRange = (parameter: Parameter): parameter is Range => 'from' in parameter;

const DIGITS = 4;

/** The number inside [from, to], with few digits unless an end of the range has more. */
const within = ({ from, to }: Range, value: number): number =>
  Math.min(to, Math.max(from, Number(value.toPrecision(DIGITS))));

/** Where u lies between a and b on the range's scale. */
const between = (scale: Range['scale'], a: number, b: number, u: number): number =>
  scale === 'log' ? a * (b / a) ** u : a + u * (b - a);

/** The value at u ∈ [0, 1). */
export function valueAt(parameter: Parameter, u: number): ParameterValue {
  if (!isRange(parameter)) return parameter.values[Math.floor(u * parameter.values.length)] as ParameterValue;
  const { from, to, scale, integer } = parameter;
  if (!integer) return within(parameter, between(scale, from, to, u));
  // Each whole number has the half before and the half after it.
  const rounded = Math.round(between(scale, from - 0.5, to + 0.5, u));
  return Math.min(to, Math.max(from, rounded));
}

/** The values of a grid, in growing order. @throws RangeError for a range without `steps` */
export function gridValues(parameter: Parameter, name: string): readonly ParameterValue[] {
  if (!isRange(parameter)) return parameter.values;
  const { from, to, scale, integer, steps } = parameter;
  if (steps === undefined && integer && scale !== 'log')
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  if (steps === undefined)
    throw new RangeError(
      `${name}: expected the number of steps of a range in a grid, got none; give steps, or a list of values`,
    );
  const points = Array.from({ length: steps }, (_, i) => {
    const value = between(scale, from, to, steps === 1 ? 0 : i / (steps - 1));
    return integer ? Math.round(value) : within(parameter, value);
  });
  return [...new Set(points)];
}

/** @throws RangeError, in one line, for a parameter that cannot be */
export function checkParameter(parameter: Parameter, name: string): void {
  const refuse = (expected: string, got: unknown, advice: string): never => {
    throw new RangeError(`${name}: expected ${expected}, got ${got}; ${advice}`);
  };
  if (!isRange(parameter)) {
    if (parameter.values.length === 0) refuse('at least one value', 'none', 'list some');
    return;
  }
  const { from, to, scale, integer, steps } = parameter;
  if (!(from < to)) refuse('from below to', `${from} and ${to}`, 'swap them, or give a single value');
  if (scale === 'log' && from <= 0)
    refuse('from above 0 on a logarithmic scale', from, 'raise it, or take scale: linear');
  if (integer && !(Number.isInteger(from) && Number.isInteger(to)))
    refuse('whole numbers at both ends', `${from} and ${to}`, 'round them');
  if (steps !== undefined && !(Number.isInteger(steps) && steps >= 1))
    refuse('a whole number of steps', steps, 'give at least 1');
}
