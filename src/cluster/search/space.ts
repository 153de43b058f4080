/**
 * A space of parameters, some of which exist only under conditions: random points and the points of a grid.
 *
 * A draw is a pure function of (seed, trial, name), by Threefry: another parameter added to a space changes
 * none of the others, and any trial can be drawn without those before it.
 */
import { deriveKey, type Key, keyOf, randomIntegers } from '../../runtime/random/keys.js';
import {
  type Assignment,
  type Condition,
  checkParameter,
  gridValues,
  type Parameter,
  valueAt,
} from './parameter.js';

/** Parameters in order: a condition names earlier ones, or known values. */
export type Space = Readonly<Record<string, Parameter>>;

/** Purpose of the keys of draws; it never changes. */
const DRAWS = 0x73776565;

const sameValue = (a: unknown, b: unknown): boolean => String(a) === String(b);

/** Whether a condition holds; a parameter that does not exist fulfils none. */
export const holds = (condition: Condition | undefined, known: Assignment): boolean =>
  Object.entries(condition ?? {}).every(([name, values]) =>
    values.some((value) => known[name] !== undefined && sameValue(value, known[name])),
  );

/**
 * @param known values that are the same in every trial, which conditions may name
 * @throws RangeError, in one line, for a space that cannot be
 */
export function checkSpace(space: Space, known: Assignment = {}): void {
  const before = new Set(Object.keys(known));
  for (const [name, parameter] of Object.entries(space)) {
    checkParameter(parameter, name);
    for (const other of Object.keys(parameter.when ?? {}))
      if (!before.has(other))
        throw new RangeError(
          `${name}: expected a condition on a parameter before it, got ${other}; move ${other} up`,
        );
    before.add(name);
  }
}

/** A number in [0, 1) that belongs to a trial and a name. */
function uniformOf(seed: number, trial: number, name: string): number {
  const [a, b] = keyOf(name);
  const key: Key = deriveKey(deriveKey(keyOf(seed), DRAWS, trial), a, b);
  return (randomIntegers(key, 2 ** 32, 1)[0] as number) / 2 ** 32;
}

/** The point of a trial in a random search: parameters whose conditions fail are left out. */
export function randomPoint(space: Space, seed: number, trial: number, known: Assignment = {}): Assignment {
  const point: Record<string, Assignment[string]> = {};
  for (const [name, parameter] of Object.entries(space))
    if (holds(parameter.when, { ...known, ...point }))
      point[name] = valueAt(parameter, uniformOf(seed, trial, name));
  return point;
}

/**
 * All points of a grid, the last parameter changing fastest; a parameter whose condition fails does not
 * multiply points.
 * @throws RangeError for a range that says no steps
 */
export function gridPoints(space: Space, known: Assignment = {}): readonly Assignment[] {
  return Object.entries(space).reduce<readonly Assignment[]>(
    (points, [name, parameter]) =>
      points.flatMap((point) =>
        holds(parameter.when, { ...known, ...point })
          ? gridValues(parameter, name).map((value) => ({ ...point, [name]: value }))
          : [point],
      ),
    [{}],
  );
}
