/** GRAD: no smoothing, the plain gradient ∇L(θ) on the batch. What certified training has always done. */
import { z } from 'zod';
import { type Estimator, parseOptions } from './estimator.js';

export const noneSchema = z.strictObject({});
/** The plain gradient has no options. */
export type NoneOptions = z.input<typeof noneSchema>;

/** The estimator that smooths nothing and has no state. */
export function none(options: NoneOptions = {}): Estimator<null> {
  parseOptions('none', noneSchema, options);
  return {
    name: 'none',
    needsGradient: true,
    init: () => null,
    estimate: async (state, theta, objective) => ({
      state,
      ...(await objective.gradient(theta)),
    }),
  };
}
