/** GRAD: no smoothing, the plain gradient ∇L(θ) on the batch. What certified training has always done. */
import { z } from 'zod';
import type { BatchObjective, Estimate, Estimator } from './estimator.js';
import { parseOptions } from './parse-options.js';

export const noneSchema = z.strictObject({});
export type NoneOptions = z.input<typeof noneSchema>;

/** ∇L(θ), its loss and metrics. */
export async function pointGradient(theta: Float32Array, objective: BatchObjective): Promise<Omit<Estimate<null>, 'state'>> {
  const [point] = await objective.gradients(theta, [undefined]);
  if (point === undefined) throw new Error('none: expected one gradient from the objective, got none');
  return { gradient: point.gradient, loss: point.loss, metrics: point.metrics };
}

/** The estimator that smooths nothing and has no state. */
export function none(options: NoneOptions = {}): Estimator<null> {
  parseOptions('none', noneSchema, options);
  return {
    name: 'none',
    needsGradient: true,
    init: () => null,
    estimate: async (state, theta, objective) => ({ state, ...(await pointGradient(theta, objective)) }),
  };
}
