/**
 * The bound that branch and bound raises: β-CROWN (Wang et al. 2021, arXiv 2103.06624), n rows over one box
 * at once.
 *
 * Each column has a row c of the outputs (or one neuron of a layer, or a row d of the inputs beside c), signs
 * s ∈ {−1, 0, 1} of the ReLUs it has decided, and one free number p for each unstable ReLU. Undecided ones (s
 * = 0) use p = α ∈ [0, 1], the slope of their lower line (α-CROWN, Xu et al. 2021); decided ones are linear,
 * and p = β ≥ 0 is the multiplier of the decision s·z ≥ 0 about the input z:
 *
 *   a ← a⁺∘(α or [s = 1]) + a⁻∘(λ or [s = 1]) − β∘s,  constant ← constant + Σ a⁻ μ [s = 0].
 *
 * Every p gives a lower bound of c·f over the inputs that fulfil the decisions, so rounding in p costs no
 * soundness; Adam raises all columns' bounds at once. In float64 what rounding can do to it is taken off each
 * bound (`rounding-error.ts`). Bounds of the ReLUs' inputs are those of the root, shared by all columns.
 */
import {
  abs,
  add,
  constant,
  div,
  equalRows,
  type FloatType,
  gradient,
  greater,
  input,
  maximum,
  minimum,
  mul,
  neg,
  pad,
  relu,
  reshape,
  sqrt,
  square,
  step,
  stopGradient,
  sub,
  sum,
  type Tensor,
  takeRows,
  total,
  where,
  withGradient,
} from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import {
  INPUT,
  logits,
  type Network,
  type NetworkNode,
  parameterInputs,
  weightsOf,
} from '../../network/network.js';
import { backSubstituteBy, concretize, throughLines } from '../../relaxation/linear/back-substitution.js';
import { isNonlinear, slopesOf } from '../../relaxation/linear/nonlinear.js';
import { reluSlopes } from '../../relaxation/slopes.js';
import { createPlan } from '../../runtime/plan/compile.js';
import type { Plan, Stage } from '../../runtime/plan/plan.js';
import type { Engine } from './engine.js';
import { errorOf, magnitudes } from './rounding-error.js';

export interface DualShape {
  /** The node whose outputs the rows are over; the last one for rows of a specification. */
  readonly target: number;
  readonly columns: number;
  /** Steps of ascent in p; 0 bounds at the given p only. */
  readonly iterations: number;
  /**
   * Rows as the array `rows` [outputs, n], or single neurons with a sign: `neuron` int32 [n], `side` [1, n].
   */
  readonly start: 'rows' | 'neurons';
  /** p comes in as arrays; else it starts as CROWN's own α. */
  readonly warm?: boolean;
  /** Decisions come in as arrays. */
  readonly decisions?: boolean;
  /** Scores of the undecided ReLUs, the minimising input and the outputs there go out. */
  readonly scores?: boolean;
  /** p goes out. */
  readonly keep?: boolean;
  /** The rows have a part over the inputs too, `input rows` [inputs, n]. */
  readonly inputRows?: boolean;
  /**
   * Rows of each ReLU node's p, signs and scores, as `unstableRelus` gives them; without it all neurons have
   * a row.
   */
  readonly unstable?: Readonly<Record<number, number>>;
}

/** Names of the arrays that belong to node k, a ReLU or a smooth activation. */
export const nodeArray = (
  what: 'lower' | 'upper' | 'sign' | 'p' | 'score' | 'gap' | 'index' | 'map' | 'live',
  node: number,
): string => `${what}:${node}`;

/** ReLUs and smooth activations that a node depends on, in order. */
export function nonlinearBefore(net: Network, target: number): number[] {
  const needed = new Set([target]);
  for (let k = target; k >= 0; k--)
    if (needed.has(k)) for (const from of (net.nodes[k] as NetworkNode).inputs) needed.add(from);
  return net.nodes.flatMap(({ layer }, k) => (isNonlinear(layer) && needed.has(k) ? [k] : []));
}

/** First step of α and of β, and what the step is multiplied by each time (Wang et al. 2021). */
const STEP = { alpha: 0.1, beta: 0.05, fall: 0.95 };
const MOMENTS = { first: 0.9, second: 0.999 };
/** β has no upper end. */
const ENDLESS = 1e30;
const LOWEST = -1e30;

/**
 * What p does in ReLU k, on the rows of its unstable neurons: a leaves it as a·λ + move, where
 * move = a⁺∘(keep∘p + above) + a⁻∘below − p∘sign is zero for stable neurons. [rows, n], or [rows, 1] without
 * decisions.
 */
interface Lines {
  readonly keep: Tensor;
  readonly above: Tensor;
  /** Undefined where it is zero: without decisions. */
  readonly below: Tensor | undefined;
  readonly intercept: Tensor;
  /** 1 where p is β. */
  readonly decided: Tensor | undefined;
}

function linesOf(lower: Tensor, upper: Tensor, live: Tensor | undefined, sign: Tensor | undefined): Lines {
  const slopes = reluSlopes({ lower, upper });
  const crossing = step(neg(mul(lower, upper)));
  const unstable = live === undefined ? crossing : mul(crossing, live);
  const intercept = mul(slopes.intercept, unstable);
  const removed = neg(mul(slopes.upper, unstable));
  if (sign === undefined)
    return { keep: unstable, above: removed, below: undefined, intercept, decided: undefined };
  const decided = abs(sign);
  const open = sub(1, decided);
  const active = relu(sign);
  return {
    keep: mul(unstable, open),
    above: add(removed, active),
    below: add(mul(neg(slopes.upper), decided), active),
    intercept: mul(intercept, open),
    decided,
  };
}

/**
 * The rows of a node's unstable neurons, and back: neurons without a row get zeros. Each is the other's
 * adjoint.
 */
interface Rows {
  readonly count: number;
  pick(x: Tensor): Tensor;
  place(rows: Tensor): Tensor;
}

function rowsOf(node: number, features: number, count: number | undefined): Rows {
  if (count === undefined) return { count: features, pick: (x) => x, place: (x) => x };
  const [index, map] = [
    input(nodeArray('index', node), [count], 'int32'),
    input(nodeArray('map', node), [features], 'int32'),
  ];
  const placed = (rows: Tensor) => takeRows(pad(rows, 0, 0, 1), map);
  return {
    count,
    pick: (x) => withGradient(takeRows(x, index), [x], (g) => [placed(g)]),
    place: (rows) => withGradient(placed(rows), [rows], (g) => [takeRows(g, index)]),
  };
}

/**
 * Plan: (parameters, `box:lower`, `box:upper` [inputs, 1], `lower:k`, `upper:k` [features, 1] of each ReLU's
 * input, what `unstableRelus` feeds, rows or neurons, `p:k` and `sign:k` [its rows, n] if any, `threshold`
 * [n, 1]) → `bound` [n, 1], the best met, and on request `p:k`, `score:k`, `gap:k`, `point` [inputs, n] and
 * `at point` [outputs, n]. The ascent ends early once each bound exceeds its threshold, or after the time
 * `deadline`, if that is given.
 */
export function dualPlan(
  net: Network,
  { target, columns: n, iterations, start, warm, decisions, scores, keep, inputRows, unstable }: DualShape,
  dtype: FloatType,
): Plan {
  const parameters = parameterInputs(net, dtype);
  const inputs = featuresOf(net.input);
  const box = {
    lower: input('box:lower', [inputs, 1], dtype),
    upper: input('box:upper', [inputs, 1], dtype),
  };
  const threshold = input('threshold', [n, 1], dtype);
  const features = (node: number) => featuresOf((net.nodes[node] as NetworkNode).layer.output);
  const outputs = features(target);
  const rows =
    start === 'rows'
      ? input('rows', [outputs, n], dtype)
      : mul(equalRows(input('neuron', [n], 'int32'), outputs, dtype), input('side', [1, n], dtype));
  const [relus, smooth] = [[] as number[], [] as number[]];
  for (const node of nonlinearBefore(net, target))
    ((net.nodes[node] as NetworkNode).layer.kind === 'relu' ? relus : smooth).push(node);
  const boundsOf = (node: number) => {
    const bound = (what: 'lower' | 'upper') =>
      input(nodeArray(what, node), [featuresOf((net.nodes[node] as NetworkNode).layer.input), 1], dtype);
    return { lower: bound('lower'), upper: bound('upper') };
  };
  // Smooth activations keep the lines that their bounds give them.
  const lines = new Map(smooth.map((node) => [node, slopesOf(net, node, boundsOf(node))]));

  const prepared: Record<string, Tensor> = {};
  const sizes = dtype === 'float64' ? magnitudes(net, parameters, box, boundsOf) : undefined;
  const share = (name: string, value: Tensor): Tensor => {
    prepared[name] = value;
    return input(name, value.shape, dtype);
  };
  const states = relus.map((node) => {
    const rowsOfNode = rowsOf(node, features(node), unstable?.[node]);
    const { count, pick } = rowsOfNode;
    const ends = boundsOf(node);
    const [lower, upper] = [pick(ends.lower), pick(ends.upper)];
    const sign = decisions ? input(nodeArray('sign', node), [count, n], dtype) : undefined;
    const made = linesOf(
      lower,
      upper,
      unstable?.[node] === undefined ? undefined : input(nodeArray('live', node), [count, 1], dtype),
      sign,
    );
    const kept = (what: keyof Lines) => made[what] && share(`line ${what}:${node}`, made[what]);
    const lines = Object.fromEntries(
      (['keep', 'above', 'below', 'intercept', 'decided'] as const).map((what) => [what, kept(what)]),
    ) as unknown as Lines;
    const slope = share(`slope:${node}`, mul(reluSlopes(ends).upper, 1));
    const zero = mul(reshape(sum(rows, [0]), [1, n]), 0);
    const name = warm ? nodeArray('p', node) : `begin:${node}`;
    const crownAlpha = add(
      where(greater(add(upper, lower), 0), constant(1, [], dtype), constant(0, [], dtype)),
      zero,
    );
    const begin = warm ? input(name, [count, n], dtype) : share(name, crownAlpha);
    return {
      node,
      lines,
      sign,
      slope,
      ...rowsOfNode,
      begin,
      name,
      nothing: mul(warm ? begin : crownAlpha, 0),
    };
  });

  /** Lower bounds [n, 1] at p, the coefficients at the input, and those at each ReLU's output. */
  const boundAt = (p: readonly Tensor[]) => {
    const arrived = new Map<number, Tensor>();
    const error = sizes && errorOf(net, sizes, n, 1);
    const through = (node: number, a: Tensor) => {
      const fixed = lines.get(node);
      if (fixed !== undefined) return throughLines(fixed, a, n, 1);
      const index = relus.indexOf(node);
      const { lines: own, sign, slope, pick, place } = states[index] as (typeof states)[number];
      const free = p[index] as Tensor;
      const open = pick(a);
      arrived.set(node, open);
      const positive = relu(open);
      const negative = sub(open, positive);
      const raised = mul(positive, add(mul(free, own.keep), own.above));
      const turned = own.below ? add(raised, mul(negative, own.below)) : raised;
      const move = sign ? sub(turned, mul(free, sign)) : turned;
      return {
        coefficients: add(mul(a, slope), place(move)),
        constant: reshape(sum(mul(negative, own.intercept), [0]), [1, n]),
      };
    };
    const found = backSubstituteBy(
      net,
      parameters,
      target,
      reshape(rows, [outputs, n, 1]),
      through,
      error?.visit,
    );
    const coefficients = inputRows
      ? add(found.coefficients, input('input rows', [inputs, n], dtype))
      : found.coefficients;
    const value = concretize({ ...found, coefficients }, box);
    if (error === undefined) return { value, coefficients, arrived };
    if (inputRows) error.visit(INPUT, coefficients);
    return { value: sub(value, stopGradient(reshape(error.total(), [n, 1]))), coefficients, arrived };
  };

  const stages: Stage[] = [];
  let best = input('best', [n, 1], dtype);
  let final = states.map(({ begin }) => begin);
  if (iterations > 0 && relus.length > 0) {
    prepared['best:start'] = add(mul(reshape(threshold, [n, 1]), 0), LOWEST);
    const current = states.map(({ node, begin }) => input(`now:${node}`, begin.shape, dtype));
    const { value } = boundAt(current);
    const slopes = gradient(total(value), current);
    const size = input('step', [], dtype);
    const [firstScale, secondScale] = [input('first scale', [], dtype), input('second scale', [], dtype)];
    const state: Record<string, string> = { best: 'best:start', excess: 'best:start' };
    const raised = maximum(best, value);
    const next: Record<string, Tensor> = { best: raised, excess: sub(raised, threshold) };
    states.forEach(({ node, lines, name, nothing }, i) => {
      const [g, p] = [slopes[i] as Tensor, current[i] as Tensor];
      const zero = share(`zero:${node}`, nothing);
      const [m, v] = [input(`m:${node}`, zero.shape, dtype), input(`v:${node}`, zero.shape, dtype)];
      const newM = add(mul(m, MOMENTS.first), mul(g, 1 - MOMENTS.first));
      const newV = add(mul(v, MOMENTS.second), mul(square(g), 1 - MOMENTS.second));
      const direction = div(mul(newM, firstScale), add(sqrt(mul(newV, secondScale)), 1e-8));
      const stepSize = lines.decided
        ? mul(size, sub(1, mul(lines.decided, 1 - STEP.beta / STEP.alpha)))
        : size;
      const end = lines.decided ? add(mul(lines.decided, ENDLESS), 1) : 1;
      Object.assign(state, {
        [`now:${node}`]: name,
        [`m:${node}`]: `zero:${node}`,
        [`v:${node}`]: `zero:${node}`,
      });
      Object.assign(next, {
        [`now:${node}`]: minimum(maximum(add(p, mul(stepSize, direction)), 0), end),
        [`m:${node}`]: newM,
        [`v:${node}`]: newV,
      });
    });
    const steps = Array.from({ length: iterations }, (_, t) => t);
    stages.push({ kind: 'whole', outputs: prepared });
    stages.push({
      kind: 'iterate',
      count: iterations,
      state,
      next,
      until: 'excess',
      deadline: 'deadline',
      schedule: {
        step: steps.map((t) => STEP.alpha * STEP.fall ** t),
        'first scale': steps.map((t) => 1 / (1 - MOMENTS.first ** (t + 1))),
        'second scale': steps.map((t) => 1 / (1 - MOMENTS.second ** (t + 1))),
      },
    });
    final = current;
  } else {
    if (Object.keys(prepared).length > 0) stages.push({ kind: 'whole', outputs: prepared });
    best = mul(threshold, 0);
    best = add(best, LOWEST);
  }

  const { value, coefficients, arrived } = boundAt(final);
  const results: Record<string, Tensor> = { bound: maximum(best, value) };
  if (keep)
    states.forEach(({ node }, i) => {
      results[nodeArray('p', node)] = mul(final[i] as Tensor, 1);
    });
  if (scores) {
    results.point = where(greater(coefficients, 0), box.lower, box.upper);
    results['at point'] = logits(net, parameters, results.point);
    for (const { node, lines, pick, slope } of states) {
      const a = arrived.get(node) as Tensor;
      const from = (net.nodes[node] as NetworkNode).inputs[0] as number;
      const layer = net.nodes[from]?.layer;
      const bias = layer?.kind === 'affine' ? layer.bias(weightsOf(net, from, parameters), dtype) : undefined;
      const gap = mul(neg(minimum(a, 0)), lines.intercept);
      const moved = bias && mul(a, pick(bias));
      const upper = pick(slope);
      const shift = moved && maximum(mul(moved, upper), mul(moved, sub(upper, 1)));
      results[nodeArray('gap', node)] = gap;
      results[nodeArray('score', node)] = mul(abs(shift ? sub(shift, gap) : gap), lines.keep);
    }
  }
  stages.push({ kind: 'whole', outputs: results });
  return createPlan(stages);
}

/** The engine's plan of a shape. */
export const dualOf = (engine: Engine, shape: DualShape): Plan =>
  engine.plan(`dual ${JSON.stringify(shape)}`, () => dualPlan(engine.network, shape, engine.dtype));
