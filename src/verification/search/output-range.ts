/**
 * Unsafe outputs that no network ending in ReLUs has, without any bound or rounding:
 *
 *   y ≥ 0 and c ≥ 0  ⇒  c·y ≥ 0, so c·y ≤ b < 0 and c·y < 0 are never fulfilled
 *
 * Bounds of c·y − b must exceed their rounding errors to be proofs. The strict inequality at b = 0, which
 * outputs reach with equality, is decided by this alone.
 */
import type { Network } from '../../network/network.js';
import type { Inequality, Polytope } from '../property/property.js';

const neverNegative = ({ outputs, inputs }: Inequality): boolean =>
  outputs.every((c) => c >= 0) && (inputs?.every((d) => d === 0) ?? true);

/** Whether the last layer alone keeps the network out of a polytope. */
export function outOfRange({ nodes }: Pick<Network, 'nodes'>, { unsafe }: Polytope): boolean {
  if (nodes.at(-1)?.layer.kind !== 'relu') return false;
  return unsafe.some(
    (one) => neverNegative(one) && (one.bound < 0 || (one.bound === 0 && one.strict === true)),
  );
}
