/**
 * Zonotopes and hybrid zonotopes as their papers have them, by generators: what the library's rows are held
 * against. A column for every input feature and every neuron so far; small networks only.
 */
import { add, constant, type FloatType, greater, mul, relu, type Tensor, where } from '../../graph/index.js';
import { activationStrip } from '../../relaxation/activation-lines.js';
import { withoutNormalization } from '../../relaxation/front.js';
import type { NonlinearLayer } from '../../relaxation/linear/nonlinear.js';
import type { BoundProblem, Bounds, Relaxation } from '../../relaxation/relaxation.js';
import { reluSlopes } from '../../relaxation/slopes.js';
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

function hybridStep(
  { centre, generators, box }: AffineForm,
  bounds: Bounds,
  layer: NonlinearLayer,
): AffineForm {
  if (layer.kind === 'activation') {
    const { slope, centre: shift, radius } = activationStrip(layer.function, bounds);
    return {
      centre: add(mul(centre, slope), shift),
      generators: scaleGenerators(generators, slope),
      box: box === undefined ? radius : add(mul(box, slope), radius),
    };
  }
  const { lower, upper } = bounds;
  const dtype = lower.dtype as FloatType;
  const [one, zero] = [constant(1, [], dtype), constant(0, [], dtype)];
  const active = greater(lower, 0);
  const half = mul(relu(upper), 0.5);
  return {
    centre: where(active, centre, half),
    generators: scaleGenerators(generators, where(active, one, zero)),
    box: where(active, box ?? zero, half),
  };
}

/** Bounds of every node's output, [features, batch], in the order of the problem's nodes. */
export const hybridZonotopeBounds = (problem: BoundProblem): Bounds[] =>
  affineForms(problem, hybridStep).map(formBounds);

/** The margins of either form. */
const byGenerators = (name: string, step: typeof zonotopeStep): Relaxation => ({
  name,
  differentiable: true,
  bound(original) {
    const problem = withoutNormalization(original);
    return { stages: [], margins: formMargins(problem, affineForms(problem, step)) };
  },
});

export const zonotopeByGenerators = byGenerators('deepz by generators', zonotopeStep);
export const hybridZonotopeByGenerators = byGenerators('hbox by generators', hybridStep);
