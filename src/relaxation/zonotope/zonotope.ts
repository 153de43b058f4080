/**
 * DeepZ, zonotopes (Singh et al. 2018, "Fast and Effective Robustness Certification"; the same bounds as Wong
 * and Kolter 2018, arXiv 1711.00851).
 *
 * x = c + E ε. The ReLU on pre-activations [l, u] is λ x + μ ± μ with λ = u/(u − l), μ = −u l/(2 (u − l))
 * where l < 0 < u: E's rows are scaled by λ and each neuron appends a column of its own with μ; stable
 * neurons keep λ = 1 or 0 and μ = 0. That is the parallelogram of least area around the ReLU, but it reaches
 * below 0: neither zonotopes nor intervals are tighter on every neuron.
 *
 * Smooth activations become λ x + μ ± ν with the least slope on [l, u] (`activation-lines.ts`).
 *
 * Cost: a column for every input feature and every ReLU neuron so far, stable ones too, as shapes are static:
 * behind a layer of F features F · (d + all earlier neurons) values an image. A training step of CNN3 on
 * MNIST takes 0.3 s, 0.6 GB and 0.4 GB more for each image on one core; the first convolution of CNN5 alone
 * has 12,544 neurons. Take few images a program call, and small networks.
 */
import { add, mul, type Tensor } from '../../graph/index.js';
import { activationStrip } from '../activation-lines.js';
import { withoutNormalization } from '../front.js';
import type { NonlinearLayer } from '../linear/nonlinear.js';
import type { BoundProblem, Bounds, Relaxation } from '../relaxation.js';
import { reluSlopes } from '../slopes.js';
import { type AffineForm, affineForms, formBounds, formMargins } from './affine-form.js';
import { scaleGenerators } from './generators.js';

/** λ x + μ ± ν around the activation. */
function strip(layer: NonlinearLayer, bounds: Bounds): { slope: Tensor; centre: Tensor; radius: Tensor } {
  if (layer.kind === 'activation') return activationStrip(layer.function, bounds);
  // The line above is λ x + 2μ, so that half its intercept is μ.
  const { upper: slope, intercept } = reluSlopes(bounds);
  const half = mul(intercept, 0.5);
  return { slope, centre: half, radius: half };
}

function zonotopeStep(
  { centre, generators, box }: AffineForm,
  bounds: Bounds,
  layer: NonlinearLayer,
  node: number,
): AffineForm {
  const { slope, centre: shift, radius } = strip(layer, bounds);
  const scaled = scaleGenerators(generators, slope);
  return {
    centre: add(mul(centre, slope), shift),
    generators: new Map([...scaled, [node, { kind: 'diagonal', entries: radius }]]),
    box,
  };
}

/** Bounds of every node's output, [features, batch], in the order of the problem's nodes. */
export const zonotopeBounds = (problem: BoundProblem): Bounds[] =>
  affineForms(problem, zonotopeStep).map(formBounds);

export const zonotope: Relaxation = {
  name: 'deepz',
  differentiable: true,
  bound(original) {
    const problem = withoutNormalization(original);
    return { stages: [], margins: formMargins(problem, affineForms(problem, zonotopeStep)) };
  },
};
