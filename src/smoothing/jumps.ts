/**
 * What values of L say that its gradients do not: jumps, which gradients pass over, and curvature.
 *
 * With a_i = (L(θ + σ∘z_i) − L(θ − σ∘z_i))/2 and any g that does not depend on z_i,
 *
 *   ∇L_σ(θ) = E[g + z_i/σ·(a_i − g·(σ∘z_i))],  as E[z zᵀ]g = g,
 *
 * so g is a control variate: the estimate is unbiased for every g, and varies the less the better g explains
 * the a_i.
 */

/** Losses at θ + σ∘z_i and at θ − σ∘z_i. */
export interface AntitheticLosses {
  readonly plus: Float64Array;
  readonly minus: Float64Array;
}

/** a_i = (r⁺_i − r⁻_i)/2. */
export const halfDifferences = ({ plus, minus }: AntitheticLosses): Float64Array =>
  plus.map((r, i) => (r - (minus[i] as number)) / 2);

/**
 * Σ_i (a_i − b_i)²/Σ_i a_i²: the part of the variation of L that its gradients, whose projections b_i are, do
 * not explain. 0 for a linear loss, 1 where gradients are zero and L only jumps.
 */
export function unexplained(values: Float64Array, projections: Float64Array): number {
  const all = values.reduce((sum, a) => sum + a * a, 0);
  const rest = values.reduce((sum, a, i) => sum + (a - (projections[i] as number)) ** 2, 0);
  return all > 0 ? rest / all : 0;
}
