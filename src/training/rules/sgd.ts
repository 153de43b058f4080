/**
 * Stochastic gradient descent, with heavy-ball (Polyak 1964) or Nesterov momentum (Sutskever et al., ICML
 * 2013).
 */
import { add, mul, sub, type Tensor } from '../../graph/index.js';
import { checkRate, checkSizes, type UpdateRule } from './update-rule.js';

/** Options of stochastic gradient descent with momentum. */
export interface SgdOptions {
  /** μ. Default 0: plain descent. */
  readonly momentum?: number;
  /** Look ahead along the velocity. Default false. */
  readonly nesterov?: boolean;
}

/** The velocity, one entry for each coordinate of θ. */
export interface SgdState {
  readonly velocity: Float32Array;
}

/** v ← μv + g;  θ ← θ − α·v, or with Nesterov's momentum θ ← θ − α·(g + μv). */
export function sgd({ momentum = 0, nesterov = false }: SgdOptions = {}): UpdateRule<SgdState> {
  checkRate('sgd', 'momentum', momentum);
  if (nesterov && momentum === 0)
    throw new RangeError(
      'sgd: expected a momentum above 0 with nesterov, got 0; set momentum or leave nesterov off',
    );
  return {
    name: 'sgd',
    init: (parameters) => ({ velocity: new Float32Array(parameters) }),
    update(state, theta, gradient, learningRate) {
      checkSizes('sgd', theta, gradient, state.velocity.length);
      const velocity = new Float32Array(theta.length);
      const next = new Float32Array(theta.length);
      for (let j = 0; j < theta.length; j++) {
        const g = gradient[j] as number;
        const v = momentum * (state.velocity[j] as number) + g;
        velocity[j] = v;
        next[j] = (theta[j] as number) - learningRate * (nesterov ? g + momentum * v : v);
      }
      return { state: { velocity }, theta: next };
    },
    graph: {
      numbers: (_, rate) => ({ state: {}, inputs: { rate } }),
      step(theta, g, arrays, inputs) {
        const { velocity, rate } = { ...arrays, ...inputs } as Record<'velocity' | 'rate', Tensor>;
        const v = add(mul(velocity, momentum), g);
        return {
          theta: sub(theta, mul(nesterov ? add(g, mul(v, momentum)) : v, rate)),
          arrays: { velocity: v },
        };
      },
    },
  };
}
