/**
 * ClipUp: normalised steps with clipped velocity, made for gradients estimated by sampling.
 *
 * Toklu, Liskowski, Srivastava, "ClipUp: a simple and powerful optimizer for distribution-based policy
 * evolution", PPSN 2020 (arXiv 2008.02387). Only the gradient's direction counts, so neither the scale of the
 * loss nor rank shaping changes the step, and θ never moves farther than the maximal speed in one step.
 */
import { add, div, maximum, minimum, mul, sub, type Tensor } from '../../graph/index.js';
import { globalNorm } from './gradient-clip.js';
import { checkRate, checkSizes, type UpdateRule } from './update-rule.js';
import { TINY, vectorNorm } from './vector-norm.js';

/** Options of ClipUp (Toklu et al. 2020). */
export interface ClipUpOptions {
  /** Default 0.9. */
  readonly momentum?: number;
  /**
   * v_max, the largest ‖Δθ‖₂ of a step, in units of θ. Default: twice the learning rate of the step (the
   * paper's α = v_max/2).
   */
  readonly maxSpeed?: number;
}

/** The velocity, one entry for each coordinate of θ. */
export interface ClipUpState {
  readonly velocity: Float32Array;
}

/**
 * v ← μv + α·g/‖g‖₂;  if ‖v‖₂ > v_max: v ← v_max·v/‖v‖₂;  θ ← θ − v.
 *
 * The learning rate α is the length of a step in θ (not per coordinate). A zero gradient adds nothing to the
 * velocity.
 */
export function clipup({ momentum = 0.9, maxSpeed }: ClipUpOptions = {}): UpdateRule<ClipUpState> {
  checkRate('clipup', 'momentum', momentum);
  if (maxSpeed !== undefined && !(maxSpeed > 0))
    throw new RangeError(`clipup: expected maxSpeed above 0, got ${maxSpeed}`);
  return {
    name: 'clipup',
    init: (parameters) => ({ velocity: new Float32Array(parameters) }),
    update(state, theta, gradient, learningRate) {
      checkSizes('clipup', theta, gradient, state.velocity.length);
      const norm = globalNorm(gradient);
      const scale = norm > 0 ? learningRate / norm : 0;
      const velocity = state.velocity.map((v, j) => momentum * v + scale * (gradient[j] as number));
      const speed = globalNorm(velocity);
      const limit = maxSpeed ?? 2 * learningRate;
      const shrink = speed > limit ? limit / speed : 1;
      const next = new Float32Array(theta.length);
      for (let j = 0; j < theta.length; j++) {
        velocity[j] = shrink * (velocity[j] as number);
        next[j] = (theta[j] as number) - (velocity[j] as number);
      }
      return { state: { velocity }, theta: next };
    },
    graph: {
      numbers: (_, rate) => ({ state: {}, inputs: { rate, limit: maxSpeed ?? 2 * rate } }),
      step(theta, g, arrays, inputs) {
        const { velocity, rate, limit } = { ...arrays, ...inputs } as Record<
          'velocity' | 'rate' | 'limit',
          Tensor
        >;
        const shortest = (x: Tensor) => maximum(vectorNorm(x), TINY);
        const fast = add(mul(velocity, momentum), mul(g, div(rate, shortest(g))));
        const v = mul(fast, minimum(div(limit, shortest(fast)), 1));
        return { theta: sub(theta, v), arrays: { velocity: v } };
      },
    },
  };
}
