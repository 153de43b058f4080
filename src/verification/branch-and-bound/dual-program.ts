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
 * Smooth activations have two such numbers, which choose their tangents (`activation-lines.ts`).
 *
 * Every p gives a lower bound of c·f over the inputs that fulfil the decisions, so rounding in p costs no
 * soundness; Adam raises all columns' bounds at once. In float64 what rounding can do to it is taken off each
 * bound (`rounding-error.ts`). Bounds of the ReLUs' inputs are those of the root, shared by all columns.
 */
import {
  abs,
  add,
  constant,
  equalRows,
  type FloatType,
  greater,
  input,
  maximum,
  minimum,
  mul,
  neg,
  pad,
  relu,
  reshape,
  stopGradient,
  sub,
  sum,
  type Tensor,
  takeRows,
  transpose,
  where,
} from '../../graph/index.js';
import { activationFunctions } from '../../network/activations/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import {
  INPUT,
  logits,
  type Network,
  type NetworkNode,
  type Parameters,
  parameterInputs,
  weightsOf,
} from '../../network/network.js';
import { chosenTangents, movableLines } from '../../relaxation/activation-lines.js';
import {
  backSubstituteBy,
  concretize,
  type NonlinearStep,
  throughLines,
} from '../../relaxation/linear/back-substitution.js';
import { fitsMarginKernel, marginRun } from '../../relaxation/linear/margin-run.js';
import { slopesOf } from '../../relaxation/linear/nonlinear.js';
import type { Bounds } from '../../relaxation/relaxation.js';
import { reluSlopes, type Slopes } from '../../relaxation/slopes.js';
import { MOST_CHOOSING } from '../../runtime/kernels/margin-chain.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { type MarginRun, markMargins, type RunLines } from '../../runtime/plan/layer-runs.js';
import type { Plan, Stage } from '../../runtime/plan/plan.js';
import { withIntervalKernel } from '../../runtime/plan/stages/interval-kernel.js';
import { withDualSearch } from '../../runtime/plan/stages/margin-search.js';
import { type Ascending, ascentStage, type KernelRows } from './dual-ascent.js';
import type { Engine } from './engine.js';
import { type Hull, type HullShares, hullNeuron, hullShares } from './hull.js';
import { sideArrays } from './hull-taps.js';
import {
  type Lines,
  linesOf,
  nodeArray,
  nonlinearBefore,
  type ReluState,
  type Rows,
  rowsOf,
  throughRelu,
} from './relu-lines.js';
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
  /** p goes out, and sides that were chosen. */
  readonly keep?: boolean;
  /** Multipliers β of z − l ≥ 0 and u − z ≥ 0, z read by smooth activations: a part has ends of its own. */
  readonly halved?: boolean;
  /**
   * p, signs, scores and the minimising input are [n, rows] outside of the program, so that the numbers of a
   * column lie together.
   */
  readonly byColumn?: boolean;
  /**
   * Columns are trials: p and signs are those of so many parts, `of` int32 [n] is each trial's part, and one
   * more ReLU is decided in each, row `trial:k` int32 [n] of node k, −1 in the other nodes, with the sign
   * `trial side` [1, n]. With `byColumn`, `warm` and `decisions`.
   */
  readonly parents?: number;
  /** The rows have a part over the inputs too, `input rows` [inputs, n]. */
  readonly inputRows?: boolean;
  /**
   * Rows of each ReLU node's p, signs and scores, as `unstableRelus` gives them; without it all neurons have
   * a row.
   */
  readonly unstable?: Readonly<Record<number, number>>;
  /**
   * ReLU nodes whose unstable neurons have upper sides of their hulls, and the node that each reads through
   * an affine layer: `hull:k` [its outputs, rows], `hull least:k` and `hull reach:k` [rows, 1] (`hull.ts`).
   */
  readonly hulls?: Readonly<Record<number, number>>;
  /**
   * Those sides are chosen by the ascent, shared by all columns, of the neurons' weights `hull weights:k` and
   * from the shares `hull shares:k` of them on, or by the margin kernel of what `tapsToChoose` gives.
   */
  readonly choosesHulls?: boolean;
}

/** v that the kernel left on the taps of node k's neurons. */
const leftOnTaps = (node: number): string => `hull left:${node}`;

/** Below every bound. */
const LOWEST = -1e30;

/** Bounds at some p. */
interface Bound {
  /** Lower bounds [n, 1]. */
  readonly value: Tensor;
  /** Coefficients at the input, [inputs, n]. */
  readonly coefficients: Tensor;
  /** Coefficients at the output of each nonlinear node, of ReLUs on the rows of their unstable neurons. */
  readonly arrived: ReadonlyMap<number, Tensor>;
}

/**
 * Plan: (parameters, `box:lower`, `box:upper` [inputs, 1], `lower:k`, `upper:k` [features, 1] of each ReLU's
 * input, what `unstableRelus` feeds, rows or neurons, `p:k` and `sign:k` [its rows, n] if any, `threshold`
 * [n, 1]) → `bound` [n, 1], the best met, and on request `p:k`, `score:k`, `gap:k`, `point` [inputs, n] and
 * `at point` [outputs, n]. The ascent ends early once each bound exceeds its threshold, or after the time
 * `deadline`, if that is given.
 */
export const dualPlan = (net: Network, shape: DualShape, dtype: FloatType): Plan =>
  new DualProgram(net, shape, dtype).plan();

/**
 * Rows plus β_l (l − z) + β_u (z − u), of β ≥ 0 [features, n]: not above them where l ≤ z ≤ u.
 */
function withMultipliers(
  { coefficients, constant }: ReturnType<NonlinearStep>,
  { lower, upper }: Bounds,
  low: Tensor,
  high: Tensor,
): ReturnType<NonlinearStep> {
  const ends = sum(sub(mul(low, lower), mul(high, upper)), [0]);
  return {
    coefficients: add(coefficients, sub(high, low)),
    constant: add(constant, reshape(ends, constant.shape)),
  };
}

/** A smooth activation: the shares of its tangents below and above, and its lines at them. */
interface SmoothState {
  /** Where the ascent of its numbers begins: two tangents, then β of both ends of its interval if any. */
  readonly shares: readonly (Ascending & { readonly begin: Tensor })[];
  lines(shares: readonly Tensor[]): Slopes;
  /** The interval whose ends have multipliers. */
  readonly ends?: Bounds;
}

/** The graph of one shape while it is built. */
class DualProgram {
  readonly #parameters: Parameters;
  readonly #inputs: number;
  readonly #box: Bounds;
  readonly #threshold: Tensor;
  readonly #rows: Tensor;
  /** Smooth activations, whose lines are those that their bounds give them, or tangents that p chooses. */
  readonly #smooth: ReadonlyMap<number, SmoothState>;
  readonly #relus: readonly number[];
  readonly #states: readonly ReluState[];
  /** Of the ReLUs whose hulls have sides that are to be chosen. */
  readonly #chosen = new Map<number, HullShares>();
  /** Magnitudes for the rounding error, in float64. */
  readonly #sizes: ((node: number) => Tensor) | undefined;
  /** Arrays that are computed once, before the ascent. */
  readonly #prepared: Record<string, Tensor> = {};

  constructor(
    readonly net: Network,
    readonly shape: DualShape,
    readonly dtype: FloatType,
  ) {
    const { target, columns: n } = shape;
    this.#parameters = parameterInputs(net, dtype);
    this.#inputs = featuresOf(net.input);
    this.#box = {
      lower: input('box:lower', [this.#inputs, 1], dtype),
      upper: input('box:upper', [this.#inputs, 1], dtype),
    };
    this.#threshold = input('threshold', [n, 1], dtype);
    this.#rows = this.#startRows();
    const before = nonlinearBefore(net, target);
    const isRelu = (node: number) => this.#node(node).layer.kind === 'relu';
    this.#relus = before.filter(isRelu);
    this.#smooth = new Map(
      before.filter((node) => !isRelu(node)).map((node) => [node, this.#smoothStateOf(node)]),
    );
    this.#sizes =
      dtype === 'float64'
        ? magnitudes(net, this.#parameters, this.#box, (node) => this.#boundsOf(node))
        : undefined;
    this.#states = this.#relus.map((node) => this.#stateOf(node));
  }

  plan(): Plan {
    const { iterations, columns } = this.shape;
    const relus = this.#states.map(({ node, lines, ...state }) => ({
      ...{ ...state, key: `${node}`, decided: lines.decided },
    }));
    const smooth = [...this.#smooth.values()].flatMap(({ shares }) => shares);
    const states = [...relus, ...smooth, ...this.#chosen.values()];
    if (iterations > 0 && states.length > 0) {
      const current = states.map(({ key, begin }) => input(`now:${key}`, begin.shape, this.dtype));
      const best = input('best', [columns, 1], this.dtype);
      this.#prepared['best:start'] = add(mul(reshape(this.#threshold, [columns, 1]), 0), LOWEST);
      const ascent = ascentStage({
        iterations,
        states,
        current,
        value: this.#boundAt(current).value,
        best,
        start: 'best:start',
        threshold: this.#threshold,
        share: (name, value) => this.#share(name, value),
        inKernel: this.#kernelRows(best),
      });
      const finish = { kind: 'whole', outputs: this.#results(current, best) } as const;
      return createPlan([{ kind: 'whole', outputs: this.#prepared }, ...withDualSearch(ascent, finish)]);
    }
    const lowest = add(mul(this.#threshold, 0), LOWEST);
    const outputs = this.#results(
      relus.map(({ begin }) => begin),
      lowest,
    );
    return createPlan(withIntervalKernel<Stage>([{ kind: 'whole', outputs }]));
  }

  #node(node: number): NetworkNode {
    return this.net.nodes[node] as NetworkNode;
  }

  /** The rows c, [outputs, n]. */
  #startRows(): Tensor {
    const { target, start, columns: n } = this.shape;
    const outputs = featuresOf(this.#node(target).layer.output);
    return start === 'rows'
      ? input('rows', [outputs, n], this.dtype)
      : mul(equalRows(input('neuron', [n], 'int32'), outputs, this.dtype), input('side', [1, n], this.dtype));
  }

  #boundsOf(node: number): Bounds {
    const bound = (what: 'lower' | 'upper') =>
      input(nodeArray(what, node), [featuresOf(this.#node(node).layer.input), 1], this.dtype);
    return { lower: bound('lower'), upper: bound('upper') };
  }

  /** Computes a tensor once, before the ascent if there is one, and reads it by name. */
  #share(name: string, value: Tensor): Tensor {
    if (this.shape.iterations === 0) return value;
    this.#prepared[name] = value;
    return input(name, value.shape, this.dtype);
  }

  #stateOf(node: number): ReluState {
    const { dtype } = this;
    const { columns: n, decisions, warm, unstable, byColumn } = this.shape;
    const rows = rowsOf(node, featuresOf(this.#node(node).layer.output), unstable?.[node]);
    const { count, pick } = rows;
    const ends = this.#boundsOf(node);
    const [lower, upper] = [pick(ends.lower), pick(ends.upper)];
    const trial = this.shape.parents === undefined ? undefined : this.#trialOf(node, count);
    const parents = decisions ? this.#multipliers('sign', node, count) : undefined;
    const sign = parents && trial ? add(parents, mul(trial, input('trial side', [1, n], dtype))) : parents;
    const live =
      unstable?.[node] === undefined ? undefined : input(nodeArray('live', node), [count, 1], dtype);
    const computed = linesOf(lower, upper, live, sign);
    const lines = Object.fromEntries(
      (['keep', 'above', 'below', 'intercept', 'decided'] as const).map((what) => {
        const value = computed[what];
        return [what, value && this.#share(`line ${what}:${node}`, value)];
      }),
    ) as unknown as Lines;
    const slope = this.#share(`slope:${node}`, mul(reluSlopes(ends).upper, 1));
    const zero = mul(reshape(sum(this.#rows, [0]), [1, n]), 0);
    const crownAlpha = add(
      where(greater(add(upper, lower), 0), constant(1, [], dtype), constant(0, [], dtype)),
      zero,
    );
    const start = warm ? this.#multipliers('p', node, count) : crownAlpha;
    // What a trial decides begins with β = 0.
    const first = trial ? mul(start, sub(1, trial)) : start;
    const read = warm && !byColumn;
    const name = read ? nodeArray('p', node) : `begin:${node}`;
    return {
      ...{ node, lines, slope, ...rows, name, nothing: mul(start, 0) },
      begin: read ? start : this.#share(name, first),
      sign: sign && byColumn ? this.#share(`signs:${node}`, sign) : sign,
      hull: this.#hullOf(node, rows, { lower, upper }),
    };
  }

  /** The sides of a node's hulls; none yet where they are to be chosen. */
  #hullOf(node: number, { count, pick }: Rows, { lower, upper }: Bounds): Hull | undefined {
    const from = this.shape.hulls?.[node];
    if (from === undefined) return undefined;
    const features = from === INPUT ? this.#inputs : featuresOf(this.#node(from).layer.output);
    const given = (name: string, shape: readonly number[]) => input(name, shape, this.dtype);
    const share = (name: string, value: Tensor) => this.#share(`${name}:${node}`, value);
    const neuron = hullNeuron(from, lower, upper, share);
    if (!this.shape.choosesHulls)
      return {
        ...neuron,
        v: given(nodeArray('hull', node), [features, count]),
        least: given(`hull least:${node}`, [count, 1]),
        reach: given(`hull reach:${node}`, [count, 1]),
      };
    const box = this.#passedBy(from);
    const bias = this.#biasBefore(node);
    const weights = given(`hull weights:${node}`, [features, count]);
    const begin = given(`hull shares:${node}`, [features, count]);
    this.#chosen.set(node, hullShares(node, neuron, weights, bias && pick(bias), box, begin, share));
    return undefined;
  }

  /** Ends of a ReLU's outputs, or of the input. */
  #passedBy(node: number): Bounds {
    if (node === INPUT) return this.#box;
    const { lower, upper } = this.#boundsOf(node);
    return { lower: relu(lower), upper: relu(upper) };
  }

  /** The bias of the affine layer that a node reads, if any. */
  #biasBefore(node: number): Tensor | undefined {
    const from = this.#node(node).inputs[0] as number;
    const layer = this.net.nodes[from]?.layer;
    return layer?.kind === 'affine'
      ? layer.bias(weightsOf(this.net, from, this.#parameters), this.dtype)
      : undefined;
  }

  /** p or signs of a node's rows as they are given, [rows, n]. */
  #multipliers(what: 'p' | 'sign', node: number, rows: number): Tensor {
    const { columns: n, byColumn, parents } = this.shape;
    if (!byColumn) return input(nodeArray(what, node), [rows, n], this.dtype);
    const parts = input(nodeArray(what, node), [parents ?? n, rows], this.dtype);
    return transpose(parents === undefined ? parts : takeRows(parts, input('of', [n], 'int32')));
  }

  /** 1 at the row that a trial decides, [rows, n]. */
  #trialOf(node: number, rows: number): Tensor {
    return equalRows(input(nodeArray('trial', node), [this.shape.columns], 'int32'), rows, this.dtype);
  }

  /** [rows, n] as the caller reads it. */
  #outward(x: Tensor): Tensor {
    return this.shape.byColumn ? transpose(x) : x;
  }

  #smoothStateOf(node: number): SmoothState {
    const { net } = this;
    const { columns: n, iterations } = this.shape;
    const { layer } = this.#node(node);
    const ends = this.#boundsOf(node);
    if (layer.kind !== 'activation' || iterations === 0)
      return { shares: [], lines: () => slopesOf(net, node, ends) };
    const zero = mul(reshape(sum(this.#rows, [0]), [1, n]), 0);
    const chosen = chosenTangents(layer.function, ends);
    const shares = (['below', 'above'] as const).map((side) => {
      const [key, name] = [`${node}:${side}`, `begin:${node}:${side}`];
      const start = add(chosen[side], zero);
      return { key, name, begin: this.#share(name, start), nothing: mul(start, 0) };
    });
    const movable = movableLines(layer.function, ends, (what, value) =>
      this.#share(`line ${what}:${node}`, value),
    );
    const lines = ([below, above]: readonly Tensor[]) =>
      below && above ? movable({ below, above }) : slopesOf(net, node, ends);
    if (!this.shape.halved) return { shares, lines };
    const nothing = mul(add(ends.lower, zero), 0);
    const betas = (['β low', 'β high'] as const).map((side) => {
      const [key, name] = [`${node}:${side}`, `begin:${node}:${side}`];
      return { key, name, begin: this.#share(name, nothing), nothing, decided: add(nothing, 1) };
    });
    return { shares: [...shares, ...betas], lines, ends };
  }

  /** The bound at some p: those of all ReLUs, then those of smooth activations or none of them. */
  #boundAt(p: readonly Tensor[]): Bound {
    const { net, dtype } = this;
    const { target, columns: n, inputRows } = this.shape;
    const arrived = new Map<number, Tensor>();
    const error = this.#sizes && errorOf(net, this.#sizes, n, 1);
    let from = this.#relus.length;
    const chosen = new Map(
      [...this.#smooth].map(([node, { shares }]) => {
        from += shares.length;
        return [node, p.slice(from - shares.length, from)];
      }),
    );
    const hulls = new Map(
      [...this.#chosen].map(([node, { at }], i) => [node, at(p[p.length - this.#chosen.size + i] as Tensor)]),
    );
    const through = (node: number, a: Tensor) => {
      const smooth = this.#smooth.get(node);
      if (smooth !== undefined) {
        arrived.set(node, a);
        const given = chosen.get(node) as readonly Tensor[];
        const passed = throughLines(smooth.lines(given), a, n, 1);
        const [low, high] = given.slice(2);
        if (smooth.ends === undefined || low === undefined || high === undefined) return passed;
        error?.visit(node, add(low, high));
        return withMultipliers(passed, smooth.ends, low, high);
      }
      const index = this.#relus.indexOf(node);
      const state = this.#states[index] as ReluState;
      const hull = state.hull ?? hulls.get(node);
      const { open, ...passed } = throughRelu({ ...state, hull }, p[index] as Tensor, a);
      arrived.set(node, open);
      return passed;
    };
    const rows = reshape(this.#rows, [this.#rows.shape[0] as number, n, 1]);
    const found = backSubstituteBy(net, this.#parameters, target, rows, through, error?.visit);
    const coefficients = inputRows
      ? add(found.coefficients, input('input rows', [this.#inputs, n], dtype))
      : found.coefficients;
    const value = concretize({ ...found, coefficients }, this.#box);
    if (error === undefined) return { value, coefficients, arrived };
    if (inputRows) error.visit(INPUT, coefficients);
    return { value: sub(value, stopGradient(reshape(error.total(), [n, 1]))), coefficients, arrived };
  }

  /**
   * The rows with p, [features, n] or [features, n, 1], and signs of all neurons, for the margin kernel. In
   * float64 the error term is of what programs compute. Sides that are still to be chosen are those of a
   * search, of a few rows.
   */
  #runOf(p: (state: ReluState) => Tensor): MarginRun | undefined {
    const { columns: n, inputRows, target, hulls, choosesHulls } = this.shape;
    if (this.dtype === 'float64' || inputRows || this.#smooth.size > 0) return undefined;
    if (choosesHulls && n > MOST_CHOOSING) return undefined;
    const wide = (x: Tensor) => (x.shape.length === 3 ? x : reshape(x, [x.shape[0] as number, n, 1]));
    const through = (node: number): RunLines => {
      const state = this.#states[this.#relus.indexOf(node)] as ReluState;
      const { place, sign, slope } = state;
      const { intercept: mu } = reluSlopes(this.#boundsOf(node));
      return {
        ...{ alpha: wide(p(state)), lambda: slope, mu, dual: true, shift: sign && wide(place(sign)) },
        sides: hulls?.[node] === undefined ? undefined : this.#sidesOf(node),
      };
    };
    const rows = reshape(this.#rows, [this.#rows.shape[0] as number, n, 1]);
    const problem = { network: this.net, parameters: this.#parameters, box: this.#box };
    const run = marginRun(problem, rows, through, { from: target });
    return run && fitsMarginKernel(run) ? run : undefined;
  }

  /** The sides of a node's hulls as the margin kernel reads them. */
  #sidesOf(node: number): RunLines['sides'] {
    const arrays = sideArrays(this.net, node);
    if (arrays === undefined) return undefined;
    const given = ({ name, shape }: { name: string; shape: readonly number[] }) =>
      input(name, shape, this.dtype);
    if (!this.shape.choosesHulls) return { weights: given(arrays.weights), numbers: given(arrays.numbers) };
    const { lower, upper } = this.#passedBy(this.shape.hulls?.[node] as number);
    return { weights: given(arrays.shares), numbers: given(arrays.spans), ends: [lower, upper] };
  }

  /** v of the sides that the kernel left on taps, as programs have it. */
  #chosenOnTaps(node: number): Tensor {
    const { shares, places } = sideArrays(this.net, node) as NonNullable<ReturnType<typeof sideArrays>>;
    const [neurons, taps] = shares.shape as [number, number];
    const { shape } = (this.#chosen.get(node) as HullShares).begin;
    const onTaps = reshape(input(leftOnTaps(node), [neurons, taps], this.dtype), [neurons * taps, 1]);
    const index = input(places, [(shape[0] as number) * (shape[1] as number)], 'int32');
    return reshape(takeRows(pad(onTaps, 0, 0, 1), index), shape);
  }

  /** The ascent's rows for the margin kernel, and the outputs by what it leaves. */
  #kernelRows(best: Tensor): KernelRows | undefined {
    const { columns: n, scores } = this.shape;
    const name = (what: string, node: number) => `${what} of all:${node}`;
    const before: Record<string, Tensor> = {};
    const run = this.#runOf(({ node, place, begin }) => {
      const shape = [featuresOf(this.#node(node).layer.output), n, 1];
      before[name('p', node)] = reshape(place(begin), shape);
      return input(name('p', node), shape, this.dtype);
    });
    if (run === undefined) return undefined;
    const left = (what: string, { node, pick }: ReluState) =>
      pick(input(name(what, node), [featuresOf(this.#node(node).layer.output), n], this.dtype));
    const named = (what: string) =>
      Object.fromEntries(this.#relus.map((node) => [name('p', node), name(what, node)]));
    const chosen = (this.shape.keep ? [...this.#chosen.keys()] : []).map((node) => {
      const arrays = sideArrays(this.net, node);
      return [arrays?.shares.name as string, leftOnTaps(node)] as const;
    });
    const results = this.#outputs(
      this.#states.map((state) => left('last p', state)),
      {
        value: best,
        coefficients: input('rows at input', [this.#inputs, n], this.dtype),
        arrived: new Map(this.#states.map((state) => [state.node, left('arrived', state)])),
      },
      (node) => this.#chosenOnTaps(node),
    );
    const seen = scores
      ? { arrived: named('arrived'), atInput: 'rows at input' }
      : { arrived: {}, atInput: undefined };
    return { run, before, best: { ...named('last p'), ...Object.fromEntries(chosen) }, results, ...seen };
  }

  /** The outputs at the last p. */
  #results(p: readonly Tensor[], best: Tensor): Record<string, Tensor> {
    const found = this.#boundAt(p);
    // Of a bound alone programs need nothing on its way.
    const isAlone = this.shape.iterations === 0 && !this.shape.scores;
    const run = isAlone ? this.#runOf(({ place, begin }) => place(begin)) : undefined;
    if (run) markMargins(run, found.value);
    const shares = [...this.#chosen.keys()];
    const sides = (node: number) => {
      const m = p[p.length - shares.length + shares.indexOf(node)] as Tensor;
      return (this.#chosen.get(node) as HullShares).at(m).v;
    };
    return this.#outputs(p, { ...found, value: maximum(best, found.value) }, sides);
  }

  /** The outputs at some p, of the bounds and coefficients there. */
  #outputs(
    p: readonly Tensor[],
    { value, coefficients, arrived }: Bound,
    sides: (node: number) => Tensor,
  ): Record<string, Tensor> {
    const results: Record<string, Tensor> = { bound: mul(value, 1) };
    if (this.shape.keep)
      this.#states.forEach(({ node }, i) => {
        results[nodeArray('p', node)] = this.#outward(mul(p[i] as Tensor, 1));
      });
    if (this.shape.keep)
      for (const node of this.#chosen.keys()) results[nodeArray('hull', node)] = mul(sides(node), 1);
    if (!this.shape.scores) return results;
    const point = where(greater(coefficients, 0), this.#box.lower, this.#box.upper);
    results.point = this.#outward(point);
    results['at point'] = logits(this.net, this.#parameters, point);
    for (const state of this.#states)
      Object.assign(results, this.#scores(state, arrived.get(state.node) as Tensor));
    for (const node of this.#smooth.keys())
      results[nodeArray('score', node)] = this.#smoothScore(node, arrived.get(node) as Tensor);
    return results;
  }

  /** What the lines of smooth activations cost the bounds, at the ends of their intervals: [features, n]. */
  #smoothScore(node: number, a: Tensor): Tensor {
    const { layer } = this.#node(node);
    const { lower: l, upper: u } = this.#boundsOf(node);
    const lines = slopesOf(this.net, node, { lower: l, upper: u });
    const value = layer.kind === 'activation' ? activationFunctions[layer.function].value : relu;
    const at = (x: Tensor) => {
      const above = sub(add(mul(lines.upper, x), lines.intercept), value(x));
      const below = sub(value(x), add(mul(lines.lower, x), lines.lowerIntercept ?? 0));
      return { above, below };
    };
    const [left, right] = [at(l), at(u)];
    const positive = relu(a);
    return add(
      mul(positive, maximum(left.below, right.below)),
      mul(sub(positive, a), maximum(left.above, right.above)),
    );
  }

  /** The two scores of a node's undecided ReLUs: the influence of a decision (BaBSR), the triangle's gap. */
  #scores({ node, lines, pick, slope }: ReluState, a: Tensor): Record<string, Tensor> {
    const bias = this.#biasBefore(node);
    const gap = mul(neg(minimum(a, 0)), lines.intercept);
    const moved = bias && mul(a, pick(bias));
    const upper = pick(slope);
    const shift = moved && maximum(mul(moved, upper), mul(moved, sub(upper, 1)));
    return {
      [nodeArray('gap', node)]: this.#outward(gap),
      [nodeArray('score', node)]: this.#outward(mul(abs(shift ? sub(shift, gap) : gap), lines.keep)),
    };
  }
}

/** The engine's plan of a shape. */
export const dualOf = (engine: Engine, shape: DualShape): Plan =>
  engine.plan(`dual ${JSON.stringify(shape)}`, () => dualPlan(engine.network, shape, engine.dtype));
