/**
 * Adam: steps scaled per coordinate by running moments of the gradient (Kingma and Ba, ICLR 2015, arXiv
 * 1412.6980, Algorithm 1).
 */
import { add, div, mul, sqrt, sub, type Tensor } from '../../graph/index.js';
import { checkRate, checkSizes, type UpdateRule } from './update-rule.js';

/** Options of Adam (Kingma & Ba 2015). */
export interface AdamOptions {
  /** β₁, decay of the mean of gradients. Default 0.9. */
  readonly beta1?: number;
  /** β₂, decay of the mean of squared gradients. Default 0.999. */
  readonly beta2?: number;
  /** ε, added to √v̂. Default 1e-8. */
  readonly epsilon?: number;
}

/** Moments of the gradients, one entry for each coordinate of θ. */
export interface AdamState {
  /** Steps taken, t. */
  readonly step: number;
  readonly mean: Float32Array;
  readonly square: Float32Array;
}

/**
 * m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,  m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ),  θ ← θ − α·m̂/(√v̂ + ε).
 *
 * Moments are kept in float32, the arithmetic between is double. |Δθ| is about α per coordinate whatever the
 * scale of g.
 */
export function adam({
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
}: AdamOptions = {}): UpdateRule<AdamState> {
  checkRate('adam', 'beta1', beta1);
  checkRate('adam', 'beta2', beta2);
  if (!(epsilon > 0)) throw new RangeError(`adam: expected epsilon above 0, got ${epsilon}`);
  return {
    name: 'adam',
    init: (parameters) => ({
      step: 0,
      mean: new Float32Array(parameters),
      square: new Float32Array(parameters),
    }),
    update(state, theta, gradient, learningRate) {
      checkSizes('adam', theta, gradient, state.mean.length);
      const step = state.step + 1;
      const mean = new Float32Array(theta.length);
      const square = new Float32Array(theta.length);
      const next = new Float32Array(theta.length);
      const meanScale = 1 / (1 - beta1 ** step);
      const squareScale = 1 / (1 - beta2 ** step);
      for (let j = 0; j < theta.length; j++) {
        const g = gradient[j] as number;
        const m = beta1 * (state.mean[j] as number) + (1 - beta1) * g;
        const v = beta2 * (state.square[j] as number) + (1 - beta2) * g * g;
        mean[j] = m;
        square[j] = v;
        next[j] =
          (theta[j] as number) - (learningRate * m * meanScale) / (Math.sqrt(v * squareScale) + epsilon);
      }
      return { state: { step, mean, square }, theta: next };
    },
    graph: {
      numbers({ step: before = 0 }, learningRate) {
        const step = before + 1;
        return {
          state: { step },
          inputs: { rate: learningRate / (1 - beta1 ** step), squareScale: 1 / (1 - beta2 ** step) },
        };
      },
      step(theta, g, arrays, inputs) {
        const { mean, square, rate, squareScale } = { ...arrays, ...inputs } as Record<
          'mean' | 'square' | 'rate' | 'squareScale',
          Tensor
        >;
        const m = add(mul(mean, beta1), mul(g, 1 - beta1));
        const v = add(mul(square, beta2), mul(mul(g, g), 1 - beta2));
        return {
          theta: sub(theta, div(mul(m, rate), add(sqrt(mul(v, squareScale)), epsilon))),
          arrays: { mean: m, square: v },
        };
      },
    },
  };
}
