/**
 * PGD on linear inequalities of inputs x and outputs y: steps towards a point of a box that fulfils all of
 * them.
 *
 *   v_r(x) = c_r·f(x) + d_r·x − b_r ≤ 0 for all r
 *   x ← Π(x − a·ρ ∘ sign ∂L/∂x),  Π the projection onto the box, ρ half its widths
 *
 * with L = max_r v_r, or Σ_r max(v_r, 0), whichever is asked for, for each column: the maximum follows one
 * inequality at a time and can swing between two, the sum moves all that are not fulfilled. Added to it is
 * w·f(x): a large random w makes the first steps seek diverse outputs instead (ODI; Tashiro et al. 2020,
 * arXiv 2003.06878), from which the later ones start where random inputs do not lead.
 *
 * Every column has a box and inequalities of its own, so that different problems share a batch; the steps run
 * inside one program.
 */
import {
  add,
  broadcastTo,
  gradient,
  greater,
  input,
  maximum,
  minimum,
  mul,
  reduceMax,
  relu,
  reshape,
  type Shape,
  sign,
  sub,
  sum,
  type Tensor,
  total,
  where,
} from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { logits, type Network, parameterInputs } from '../network/network.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Plan } from '../runtime/plan/plan.js';

export interface DescentShape {
  readonly batch: number;
  /** Inequalities of each column. */
  readonly rows: number;
  /** Whether inequalities have input terms d. */
  readonly inputTerms: boolean;
  /** Steps of one run. */
  readonly steps: number;
}

/** Everything that a descent is fed but the network's parameters, row-major in these shapes. */
export const descentInputs = (
  { batch, rows, inputTerms }: DescentShape,
  features: number,
  classes: number,
) => ({
  lower: [features, batch],
  upper: [features, batch],
  /** Where it begins. */
  start: [features, batch],
  /** The best points so far and their max_r v_r. */
  kept: [features, batch],
  reached: [1, batch],
  /** c, d and b. */
  outputs: [classes, rows, batch],
  ...(inputTerms && { inputs: [features, rows, batch] }),
  bounds: [rows, batch],
  /** 1 for the sum, 0 for the maximum. */
  summed: [1, batch],
  /** w. */
  diversion: [classes, batch],
  /** a, in units of ρ. */
  size: [1, batch],
});

/** The names of the plan's results: the last points, the best points, and max_r v_r at these. */
export interface Descent {
  readonly point: Float32Array;
  readonly best: Float32Array;
  readonly worst: Float32Array;
}

/** The plan of some steps of a descent; its results are those of `Descent`. */
export function descentPlan(net: Network, shape: DescentShape): Plan {
  const { rows, batch, steps } = shape;
  const features = featuresOf(net.input);
  const fed = Object.fromEntries(
    Object.entries(descentInputs(shape, features, net.classes)).map(([name, extents]) => [
      name,
      input(name, extents),
    ]),
  );
  const of = (name: string) => fed[name] as Tensor;
  const parameters = parameterInputs(net);

  /** v [rows, batch] and outputs [classes, batch] at x. */
  const at = (x: Tensor) => {
    const outputs = logits(net, parameters, x);
    const term = (coefficients: Tensor, values: Tensor) =>
      reshape(sum(mul(coefficients, reshape(values, [values.shape[0] as number, 1, batch])), [0]), [
        rows,
        batch,
      ]);
    const output = term(of('outputs'), outputs);
    const left = shape.inputTerms ? add(output, term(of('inputs'), x)) : output;
    return { outputs, violations: sub(left, of('bounds')) };
  };
  const worstOf = (violations: Tensor) => reduceMax(violations, [0]);
  const point = input('point', [features, batch]);
  const best = input('best', [features, batch]);
  const worst = input('worst', [1, batch]);

  const { outputs, violations } = at(point);
  const now = worstOf(violations);
  const shortfall = sum(relu(violations), [0]);
  const loss = add(add(now, mul(of('summed'), sub(shortfall, now))), sum(mul(of('diversion'), outputs), [0]));
  const [slope] = gradient(total(loss), [point]) as [Tensor];
  const radius = mul(sub(of('upper'), of('lower')), 0.5);
  const moved = sub(point, mul(sign(slope), mul(radius, of('size'))));
  const better = greater(worst, now);
  const wide = (condition: Tensor, shaped: Shape) => broadcastTo(condition, shaped);

  const end = worstOf(at(point).violations);
  const plan = createPlan([
    {
      kind: 'iterate',
      count: steps,
      state: { point: 'start', best: 'kept', worst: 'reached' },
      next: {
        point: minimum(maximum(moved, of('lower')), of('upper')),
        best: where(wide(better, best.shape), point, best),
        worst: minimum(worst, now),
      },
    },
    {
      kind: 'whole',
      outputs: {
        'end best': where(wide(greater(worst, end), best.shape), point, best),
        'end worst': minimum(worst, end),
      },
    },
  ]);
  return { ...plan, results: ['point', 'end best', 'end worst'] };
}

/** A plan's results by their meaning. */
export const descentOf = (results: Readonly<Record<string, unknown>>): Descent => ({
  point: results.point as Float32Array,
  best: results['end best'] as Float32Array,
  worst: results['end worst'] as Float32Array,
});
