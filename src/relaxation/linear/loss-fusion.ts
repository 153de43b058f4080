/**
 * Loss fusion for CROWN-IBP (Xu et al. 2020, arXiv 2002.12920): one bound of the cross-entropy instead of one
 * for each margin.
 *
 * The loss of an input is log S with S = 1 + Σ_j exp(z_j), z_j = logit_j − logit_y. On an interval [l_j, u_j]
 * of z_j the chord is the best line above the convex exp:
 *
 *   exp(z) ≤ exp(u) + s (z − u),  s = (exp(u) − exp(l))/(u − l) = exp(u) φ(d)
 *   φ(d) = (1 − exp(−d))/d,  d = u − l
 *
 * so that Σ_j s_j z_j is one linear function of the logits: one back-substituted row an image bounds S,
 * whatever the number of classes. The intervals are IBP's, the last layer merged with the margins. Where they
 * are wide the chord is far above exp, and the bound weaker than the cross-entropy of K − 1 margins; the
 * price of a step is about that of IBP.
 */
import {
  add,
  concat,
  constant,
  div,
  exp,
  type FloatType,
  greater,
  log,
  maximum,
  minimum,
  mul,
  neg,
  reduceMax,
  relu,
  reshape,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
  zeros,
} from '../../graph/index.js';
import { INPUT, type NetworkNode } from '../../network/network.js';
import { withoutNormalization } from '../front.js';
import { interval, intervalBounds } from '../interval.js';
import { type BoundProblem, type Bounds, type FusedBound, specificationMargins } from '../relaxation.js';
import { backSubstituteBy, concretize, throughLines } from './back-substitution.js';
import { inMarginKernel } from './margin-run.js';
import { slopesOf } from './nonlinear.js';
import { singleRow } from './single-row.js';

/** Below this width the closed form of φ loses digits, and its derivative more of them. */
const NARROW = 0.1;
/**
 * 1/7!, …, 1/1! with signs: φ(d) = Σ_k (−d)^k/(k + 1)!, cut off where the next term is positive, so never too
 * large.
 */
const SERIES = [-1 / 720, 1 / 120, -1 / 24, 1 / 6, -1 / 2, 1];

/** φ(d) = (1 − exp(−d))/d for d ≥ 0, and its derivative, to full accuracy; φ(0) = 1. */
export function chordSlope(d: Tensor): Tensor {
  const wide = maximum(d, NARROW);
  const narrow = minimum(d, NARROW);
  const [highest, ...rest] = SERIES as [number, ...number[]];
  const series = rest.reduce<Tensor>(
    (value, coefficient) => add(mul(value, narrow), coefficient),
    constant(
      highest,
      d.shape.map(() => 1),
      d.dtype,
    ),
  );
  return where(greater(d, NARROW), div(sub(1, exp(neg(wide))), wide), series);
}

/**
 * Fused bound of the robust cross-entropy with intervals for all ReLUs, and IBP's margins. Labels only: other
 * specifications have no loss.
 */
export function fusedCrownIbp(original: BoundProblem): FusedBound {
  const problem = withoutNormalization(original);
  const { network: net, parameters, box, specification } = problem;
  if (specification.kind !== 'labels')
    throw new RangeError(
      'loss fusion: expected labels as specification, got rows; bound their margins instead',
    );
  const dtype = box.lower.dtype as FloatType;
  const values = intervalBounds(net, parameters, box);
  const rows = specificationMargins(specification, net.classes, dtype);
  const [classes, count, batch] = rows.shape as [number, number, number];

  // Margins are −z: their lower bounds give u; the intervals of the logits have the exact centre, and so the
  // width of the merged ones.
  const { margins } = interval.bound({ ...problem, elision: true });
  const logits = values.at(-1) as Bounds;
  const centre = reshape(
    sum(mul(rows, reshape(mul(add(logits.lower, logits.upper), 0.5), [classes, 1, batch])), [0]),
    [count, batch],
  );
  const width = mul(relu(sub(centre, margins)), 2);
  const upper = neg(margins);

  // All terms carry the factor exp(−shift), so that none overflows; the loss does not depend on it.
  const shift = stopGradient(reduceMax(concat([zeros([1, batch], dtype), upper], 0), [0]));
  const top = exp(sub(upper, shift));
  const slope = mul(top, chordSlope(width));
  // Σ_j s_j (z_j − u_j) ≤ −(min Σ_j s_j m_j + Σ_j s_j u_j), m_j = −z_j.
  const fused = sum(mul(rows, reshape(slope, [1, count, batch])), [1]);
  const before = (node: number) => {
    const from = (net.nodes[node] as NetworkNode).inputs[0] as number;
    return from === INPUT ? box : (values[from] as Bounds);
  };
  const through = (node: number, a: Tensor) =>
    net.nodes[node]?.layer.kind === 'relu'
      ? singleRow(a, before(node), values[node] as Bounds)
      : throughLines(slopesOf(net, node, before(node)), a, 1, batch);
  const bound = backSubstituteBy(net, parameters, net.nodes.length - 1, fused, through);
  const least = inMarginKernel(concretize(bound, box), problem, fused, before);
  const rest = sub(sum(sub(top, mul(slope, upper)), [0]), least);
  // In exact arithmetic the rest is positive; rounding must not take the logarithm below that of the label's
  // own term.
  const one = exp(neg(shift));
  const total = add(one, relu(rest));
  const loss = add(log(maximum(total, TINY)), shift);
  return { stages: [], loss, margins };
}

/** Far below exp(−shift) of any useful loss; keeps log finite. */
const TINY = 1e-30;
