/**
 * Random properties of small networks for tests, their bounds set at a distance from the exact minimum that
 * the test chooses.
 */
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import type { Box, Inequality, Polytope } from '../verification/property/property.js';
import { randomBox } from './bound-programs.js';
import { leastViolations } from './exact-oracle.js';
import { normalNumbers } from './numbers.js';
import { randomParameters } from './random-networks.js';

/** Random parameters as a model has them, in float32. */
export const singleParameters = (net: Network, seed: number): ParameterArrays =>
  Object.fromEntries(
    Object.entries(randomParameters(net, seed)).map(([name, array]) => [name, Float32Array.from(array)]),
  );

/** A box of float32 ends around pixels in [0, 1], radii up to ε. */
export function singleBox(net: Network, seed: number, epsilon: number): Box {
  const { lower, upper } = randomBox(seed, featuresOf(net.input), 1, epsilon);
  return { lower: lower.map(Math.fround), upper: upper.map(Math.fround) };
}

/**
 * Random inequalities, bounds 0; the first over outputs alone, and each other one over the inputs too with
 * `mixed`.
 */
export function randomInequalities(net: Network, seed: number, rows: number, mixed: boolean): Inequality[] {
  return Array.from({ length: rows }, (_, row) => ({
    outputs: normalNumbers(`outputs ${row} ${seed}`, net.classes).map(Math.fround),
    ...(mixed &&
      row % 2 === 1 && {
        inputs: normalNumbers(`inputs ${row} ${seed}`, featuresOf(net.input)).map(Math.fround),
      }),
    bound: 0,
  }));
}

/** The polytope with all bounds moved by the same number. */
export const movedBy = ({ box, unsafe }: Polytope, by: number): Polytope => ({
  box,
  unsafe: unsafe.map((row) => ({ ...row, bound: row.bound + by })),
});

export interface PropertyCase {
  readonly parameters: ParameterArrays;
  readonly polytope: Polytope;
  /** How near the network comes to the polytope; moved by this, the polytope is touched. */
  readonly least: number;
}

/** `count` random cases of one network, with the exact minimum of each. */
export async function propertyCases(
  net: Network,
  seed: number,
  count: number,
  { rows = 1, mixed = false, epsilon = 0.3 }: { rows?: number; mixed?: boolean; epsilon?: number } = {},
): Promise<PropertyCase[]> {
  const cases = Array.from({ length: count }, (_, k) => {
    const own = seed + 7919 * k;
    return {
      parameters: singleParameters(net, own),
      polytope: { box: singleBox(net, own, epsilon), unsafe: randomInequalities(net, own, rows, mixed) },
    };
  });
  const least = await leastViolations(net, cases);
  return cases.map((made, k) => ({ ...made, least: least[k] as number }));
}

/** The case's polytope out of the network's reach by `gap`, beside the size of its minimum. */
export const safe = ({ polytope, least }: PropertyCase, gap: number): Polytope =>
  movedBy(polytope, least - gap * (1 + Math.abs(least)));

/** The case's polytope, reached by as much. */
export const unsafe = (of: PropertyCase, gap: number): Polytope => safe(of, -gap);
