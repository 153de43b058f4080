/**
 * The largest radius at which an image is robust, between two numbers that come closer: attacks break larger
 * balls, branch and bound proves smaller ones, by bisection; a ball left undecided gives way to smaller ones.
 *
 *   proved ≤ ε* < broken,   ε* = sup {ε : f_y(x') > f_j(x') for all j ≠ y and x' in B(x, ε)}
 *
 * Balls are nested, so a proof at ε is one for every smaller ball, and a counterexample in B(x, ε) is one in
 * every larger ball. Both count as in a certification: proofs with their allowances for rounding,
 * counterexamples by a plain forward pass.
 */
import { keyOf } from '../../runtime/random/keys.js';
import { attackOnce } from './attack-stage.js';
import { createImageSearch } from './complete-stage.js';
import type { Evaluation } from './evaluation.js';

/** What is known of ε*, in pixels of [0, 1]. */
export interface RadiusBracket {
  /** A radius that is proved; 0 for none. */
  readonly proved: number;
  /** A radius with a counterexample; null before any is found. */
  readonly broken: number | null;
}

export interface ExactRadiusOptions {
  /** A radius that is proved already. */
  readonly proved: number;
  /** Radii above are not looked at. */
  readonly largest: number;
  /** Ends where `broken − proved` is at most this. */
  readonly precision: number;
  /** Wall clock; then what is known is the answer. */
  readonly seconds: number;
  /** Told whenever the two have come closer. */
  readonly tell?: (bracket: RadiusBracket) => void;
}

/** Steps of PGD, from one random start. */
const STEPS = 40;

/**
 * The radius of an image that the network answers as it is labelled.
 * @param evaluation its own radius is not read
 * @throws the reason of its context's signal
 */
export async function exactRadius(
  evaluation: Evaluation,
  image: number,
  { proved: from, largest, precision, seconds, tell }: ExactRadiusOptions,
): Promise<RadiusBracket> {
  const deadline = performance.now() + 1000 * seconds;
  const left = () => (deadline - performance.now()) / 1000;
  const at = (epsilon: number): Evaluation => ({
    ...evaluation,
    ball: { ...evaluation.ball, epsilon },
  });
  let [proved, broken]: [number, number | null] = [from, null];
  const known = (): RadiusBracket => ({ proved, broken });
  const key = keyOf(0);
  /** Radii below this one withstood the attack, which proves nothing. */
  let withstood = proved;
  for (let middle = largest; (broken ?? Infinity) - withstood > precision && left() > 0; ) {
    const attack = { steps: STEPS, restart: 0, key };
    if ((await attackOnce(at(middle), [image], 1, attack)).length > 0) {
      broken = middle;
      tell?.(known());
    } else withstood = middle;
    if (broken === null) break;
    middle = (withstood + broken) / 2;
  }
  /** Nothing is decided from here on in half of the time that was left: smaller balls are easier. */
  let open = largest;
  const least = () => Math.min(open, broken ?? largest);
  while (least() - proved > precision && left() > 0) {
    const middle = (proved + least()) / 2;
    const search = createImageSearch(at(middle), { secondsPerImage: left() / 2 });
    const { verdict } = await search(image, undefined);
    if (verdict === 'certified') proved = middle;
    else if (verdict === 'falsified') broken = middle;
    else open = middle;
    if (verdict !== 'undecided') tell?.(known());
  }
  return known();
}
