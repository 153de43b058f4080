/**
 * What float32 arithmetic may do to the outputs of a network over a box: a running error analysis of all
 * that is computed, with the sizes of the terms at every node, the input's normalisation among them.
 *
 *   s_k = |W| m + |b|,  r_k² = (W∘W) r²,  m_k = |v_k| + r_k,  e_j² = Σ_k Σ_i (J_jki s_ki)²
 *
 * in units of u = 2⁻²⁴, with v the values at the box's centre, r how far they move in the box, m the size of
 * what a layer reads, s the size of what it adds up, and J_jk the derivative of output j in the outputs of
 * node k, with every ReLU on that is on somewhere in the box.
 *
 * Why. To first order an output is off by Σ_k Σ_i J_jki d_ki, d_ki the rounding errors made in output i of
 * node k. These are sums of errors δ of mean zero, |δ| ≤ u of a partial sum; they add up like independent
 * numbers (Higham, Mary 2019), and their deviation stays below u s_ki: partial sums of n terms of either sign
 * are about √j/n · s, which gives 0.4 u s; of one sign j/n · s, which gives √n/3 · u s, below u s up to nine
 * terms and twice that for runs of 32, which kernels add up before they go on. So e_j is the deviation of
 * output j: a shared error, as of the normalisation, reaches it by all ways at once, which J knows and
 * squares of weights, layer by layer, would not. `rounding.ts` says how many deviations proofs leave room
 * for.
 *
 * It is an estimate and no bound: worst cases, added as absolute values, would be larger than any margin of a
 * deep network. A proof for every case is what `sound` is for.
 */
import {
  abs,
  add,
  addAll,
  broadcastTo,
  constant,
  greater,
  maximum,
  mul,
  reshape,
  sqrt,
  sub,
  sum,
  type Tensor,
  where,
} from '../../graph/index.js';
import { type AffineLayer, featuresOf, type Weights } from '../../network/layers/layer.js';
import { INPUT, type Network, type NetworkNode, type Parameters, weightsOf } from '../../network/network.js';
import { backSubstituteBy } from '../../relaxation/linear/back-substitution.js';
import type { Bounds } from '../../relaxation/relaxation.js';

/** Sizes below this are counted as this, so that underflow is an error like others. */
const SMALLEST = 2 ** -50;
/** Floats of one box's derivatives in the widest layer. */
const MOST_DERIVATIVES = 2 ** 24;

interface State {
  /** r². */
  readonly moved: Tensor;
  /** m. */
  readonly size: Tensor;
  /** s; undefined where nothing is computed. */
  readonly terms?: Tensor;
}

/** (L∘L) q, of squares q; where an output reads one input, |L| √q is squared, which needs no L∘L. */
function ofSquares(layer: AffineLayer, weights: Weights, squares: Tensor): Tensor {
  const absolute = layer.absolute(weights);
  if (layer.separable) {
    const root = layer.linear(absolute, sqrt(squares));
    return mul(root, root);
  }
  const { weight } = absolute;
  return layer.linear(
    weight === undefined ? absolute : { ...absolute, weight: mul(weight, weight) },
    squares,
  );
}

/** r, m and s of every node, [features, n]. */
function statesOf(
  net: Network,
  parameters: Parameters,
  { lower, upper }: Bounds,
  values: readonly Tensor[],
): State[] {
  const half = mul(sub(upper, lower), 0.5);
  const states: State[] = [];
  const start: State = { moved: mul(half, half), size: maximum(abs(lower), abs(upper)) };
  net.nodes.forEach(({ layer, inputs }, k) => {
    const from = inputs.map((node) => (node === INPUT ? start : (states[node] as State)));
    const first = from[0] as State;
    const stateOf = (moved: Tensor, terms?: Tensor): State => ({
      moved,
      size: add(abs(values[k] as Tensor), sqrt(moved)),
      terms,
    });
    if (layer.kind === 'affine') {
      const weights = weightsOf(net, k, parameters);
      const bias = layer.bias(weights, 'float32');
      const linear = layer.linear(layer.absolute(weights), first.size);
      const terms = add(bias === undefined ? linear : add(linear, abs(bias)), SMALLEST);
      states.push(stateOf(ofSquares(layer, weights, first.moved), terms));
    } else if (layer.kind === 'join')
      states.push(stateOf(addAll(from.map(({ moved }) => moved)), addAll(from.map(({ size }) => size))));
    else states.push(stateOf(first.moved));
  });
  return states;
}

/**
 * e of the outputs, [outputs, n], in units of 2⁻²⁴: NaN or infinite where float32 overflows.
 * @param values those of all nodes at the box's centre
 * @param most floats of the derivatives in the widest layer; in larger networks errors add up layer by layer
 */
export function runningError(
  net: Network,
  parameters: Parameters,
  box: Bounds,
  values: readonly Tensor[],
  most = MOST_DERIVATIVES,
): Tensor {
  const states = statesOf(net, parameters, box, values);
  const widest = net.nodes.reduce((width, { layer }) => Math.max(width, featuresOf(layer.output)), 1);
  return widest * net.classes <= most
    ? byDerivatives(net, parameters, values, states)
    : byLayers(net, parameters, states);
}

/** √ Σ_k Σ_i (J_jki s_ki)². */
function byDerivatives(
  net: Network,
  parameters: Parameters,
  values: readonly Tensor[],
  states: readonly State[],
): Tensor {
  const { classes } = net;
  const batch = (values[0] as Tensor).shape[1] as number;
  const columns = classes * batch;
  const identity = Float64Array.from({ length: classes * classes }, (_, i) =>
    i % (classes + 1) === 0 ? 1 : 0,
  );
  const rows = broadcastTo(constant(identity, [classes, classes, 1], 'float32'), [classes, classes, batch]);
  const arrived = new Map<number, Tensor[]>();
  const none = constant(new Float64Array(columns), [1, columns], 'float32');
  backSubstituteBy(
    net,
    parameters,
    net.nodes.length - 1,
    rows,
    (node, a) => ({
      coefficients: perColumn(a, onSomewhere(net, values, states, node), classes),
      constant: none,
    }),
    (node, a) => arrived.set(node, [...(arrived.get(node) ?? []), a]),
  );
  let squares: Tensor | undefined;
  for (const [node, parts] of arrived) {
    const { terms } = states[node] ?? {};
    if (terms === undefined) continue;
    const reached = perColumn(addAll(parts), terms, classes);
    const total = reshape(sum(mul(reached, reached), [0]), [classes, batch]);
    squares = squares === undefined ? total : add(squares, total);
  }
  return sqrt(squares as Tensor);
}

/** a ∘ t for each row, a [features, rows · batch], t [features, batch]. */
function perColumn(a: Tensor, t: Tensor, rows: number): Tensor {
  const [features, columns] = a.shape as [number, number];
  const cube = reshape(a, [features, rows, columns / rows]);
  return reshape(mul(cube, reshape(t, [features, 1, columns / rows])), [features, columns]);
}

/** 1 where a ReLU's input may be positive in the box, or for a smooth activation; else 0. [features, n]. */
function onSomewhere(
  { nodes }: Network,
  values: readonly Tensor[],
  states: readonly State[],
  node: number,
): Tensor {
  const { layer, inputs } = nodes[node] as NetworkNode;
  const from = inputs[0] as number;
  const { moved } = states[node] as State;
  const one = add(mul(moved, 0), 1);
  if (layer.kind !== 'relu' || from === INPUT) return one;
  const reach = add(values[from] as Tensor, sqrt(moved));
  return where(greater(reach, 0), one, mul(moved, 0));
}

/** e_k² = (W∘W) e² + s_k²: errors that arrive at a layer are taken as independent. */
function byLayers(net: Network, parameters: Parameters, states: readonly State[]): Tensor {
  const errors: Tensor[] = [];
  net.nodes.forEach(({ layer, inputs }, k) => {
    const { terms, moved } = states[k] as State;
    const own = terms === undefined ? mul(moved, 0) : mul(terms, terms);
    const arrived = inputs.flatMap((node) => (node === INPUT ? [] : [errors[node] as Tensor]));
    const carried =
      layer.kind === 'affine'
        ? arrived.map((error) => ofSquares(layer, weightsOf(net, k, parameters), error))
        : arrived;
    errors.push(addAll([...carried, own]));
  });
  return sqrt(errors.at(-1) as Tensor);
}
