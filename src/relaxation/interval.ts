/**
 * IBP: interval bounds of every activation (Gowal et al. 2018, arXiv 1810.12715).
 *
 * An affine layer maps centre and radius exactly: c' = W c + b, r' = |W| r; the ReLU and every increasing
 * function map both ends. Here c and r are kept doubled (l + u and u − l) with halved weights, which saves
 * two passes over the activations.
 */
import {
  abs,
  add,
  addAll,
  constant,
  equalRows,
  type FloatType,
  gemm,
  mul,
  relu,
  reshape,
  sub,
  sum,
  type Tensor,
} from '../graph/index.js';
import { markRuns } from '../network/layer-runs.js';
import { INPUT, type Network, type NetworkNode, type Parameters, weightsOf } from '../network/network.js';
import { activationInterval } from './activation-lines.js';
import { separableFront } from './front.js';
import { halved, intervalAffine } from './interval-affine.js';
import {
  type BoundProblem,
  type BoundResult,
  type Bounds,
  type Relaxation,
  specificationMargins,
} from './relaxation.js';

/** Interval of one node's output from intervals of what it reads. */
export function intervalNode(
  net: Network,
  parameters: Parameters,
  node: number,
  from: readonly Bounds[],
): Bounds {
  const { layer } = net.nodes[node] as NetworkNode;
  const first = from[0] as Bounds;
  if (layer.kind === 'relu') return { lower: relu(first.lower), upper: relu(first.upper) };
  if (layer.kind === 'activation') return activationInterval(layer.function, first);
  if (layer.kind === 'join')
    return { lower: addAll(from.map((b) => b.lower)), upper: addAll(from.map((b) => b.upper)) };
  return intervalAffine(layer, weightsOf(net, node, parameters), first);
}

interface Made {
  readonly net: Network;
  readonly parameters: Parameters;
  readonly upper: Tensor;
  readonly values: readonly Bounds[];
}
/** By the box's lower end. Equal graphs made twice would be run once, but differentiated twice. */
const made = new WeakMap<Tensor, Made[]>();

/** Interval bounds of every node's output over a box; asked again, the same tensors. */
export function intervalBounds(net: Network, parameters: Parameters, box: Bounds): readonly Bounds[] {
  const known = made.get(box.lower) ?? [];
  const found = known.find(
    (entry) => entry.net === net && entry.parameters === parameters && entry.upper === box.upper,
  );
  if (found) return found.values;
  const values = newIntervalBounds(net, parameters, box);
  // Formula disable: what is not found is computed once more
  // Stryker disable next-line ArrayDeclaration,ObjectLiteral: likewise
  made.set(box.lower, [...known, { net, parameters, upper: box.upper, values }]);
  return values;
}

function newIntervalBounds(net: Network, parameters: Parameters, box: Bounds): readonly Bounds[] {
  // Relaxations that begin behind the front have the same tensors.
  const front = separableFront({ network: net, parameters, box });
  if (front) return [front.box, ...intervalBounds(front.network, front.parameters, front.box)];
  const values: Bounds[] = [];
  net.nodes.forEach(({ inputs }, node) => {
    values.push(
      intervalNode(
        net,
        parameters,
        node,
        inputs.map((k) => (k === INPUT ? box : (values[k] as Bounds))),
      ),
    );
  });
  const ends = ({ lower, upper }: Bounds) => [lower, upper];
  markRuns(net, parameters, ends(box), values.map(ends));
  return values;
}

/**
 * Above this many classes the pairwise differences of the last layer cost more than the margins of each
 * image's own label.
 */
const PAIRWISE_CLASSES = 20;

/** Lower bounds of the margins from intervals, the last affine layer merged with the specification. */
function elidedMargins(problem: BoundProblem, values: readonly Bounds[]): Tensor | undefined {
  const { network: net, parameters, specification } = problem;
  const last = net.nodes.length - 1;
  const node = net.nodes[last];
  if (node?.layer.kind !== 'affine' || node.layer.name !== 'linear') return undefined;
  const before =
    (node.inputs[0] as number) === INPUT ? problem.box : (values[node.inputs[0] as number] as Bounds);
  const weights = weightsOf(net, last, parameters);
  const dtype = before.lower.dtype as FloatType;
  const classes = net.classes;
  const batch = before.lower.shape[1] as number;
  const twiceRadius = sub(before.upper, before.lower);
  const centre = node.layer.apply(halved(weights), add(before.lower, before.upper));
  if (specification.kind === 'labels' && classes <= PAIRWISE_CLASSES) {
    // |W_y − W_j| r for all pairs at once, one product for the batch; then each image picks its label's rows.
    const pairs = new Float64Array(classes * (classes - 1) * classes);
    for (let y = 0, row = 0; y < classes; y++)
      for (let j = 0; j < classes; j++)
        if (j !== y) {
          pairs[row * classes + y] = 1;
          pairs[row++ * classes + j] = -1;
        }
    const pairMatrix = constant(pairs, [classes * (classes - 1), classes], dtype);
    const differences = abs(gemm(pairMatrix, mul(weights.weight as Tensor, 0.5)));
    const all = sub(gemm(pairMatrix, centre), gemm(differences, twiceRadius));
    const chosen = mul(
      reshape(all, [classes, classes - 1, batch]),
      reshape(equalRows(specification.labels, classes, dtype), [classes, 1, batch]),
    );
    return reshape(sum(chosen, [0]), [classes - 1, batch]);
  }
  const coefficients = specificationMargins(specification, classes, dtype);
  const rows = coefficients.shape[1] as number;
  const merged = reshape(
    node.layer.adjoint(halved(weights), reshape(coefficients, [classes, rows * batch])),
    [-1, rows, batch].map((e, i) => (i === 0 ? (before.lower.shape[0] as number) : e)),
  );
  const radius = reshape(
    sum(mul(abs(merged), reshape(twiceRadius, [twiceRadius.shape[0] as number, 1, batch])), [0]),
    [rows, batch],
  );
  const value = reshape(sum(mul(coefficients, reshape(centre, [classes, 1, batch])), [0]), [rows, batch]);
  return sub(value, radius);
}

/** Lower bounds of c·logits from an interval of the logits: c⁺·lower + c⁻·upper. */
export function marginsFromLogits(problem: BoundProblem, logits: Bounds): Tensor {
  const dtype = logits.lower.dtype as FloatType;
  const [classes, batch] = logits.lower.shape as [number, number];
  const c = specificationMargins(problem.specification, classes, dtype);
  const rows = c.shape[1] as number;
  const positive = relu(c);
  const wide = (t: Tensor) => reshape(t, [classes, 1, batch]);
  const terms = add(mul(positive, wide(logits.lower)), mul(sub(c, positive), wide(logits.upper)));
  return reshape(sum(terms, [0]), [rows, batch]);
}

/** Lower bounds of the specification's rows from intervals of every node's output. */
export const intervalMargins = (problem: BoundProblem, values: readonly Bounds[]): Tensor =>
  (problem.elision === false ? undefined : elidedMargins(problem, values)) ??
  marginsFromLogits(problem, values.at(-1) as Bounds);

export const interval: Relaxation = {
  name: 'ibp',
  differentiable: true,
  bound(problem): BoundResult {
    const values = intervalBounds(problem.network, problem.parameters, problem.box);
    return { stages: [], margins: intervalMargins(problem, values) };
  },
};
