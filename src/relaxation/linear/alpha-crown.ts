/**
 * α-CROWN (Xu et al. 2021, arXiv 2011.13824): CROWN whose lines below unstable ReLUs, α x with α ∈ [0, 1],
 * are chosen to raise each bound.
 *
 * Every row of every image has its own α in each ReLU, [features, rows, batch], and of each smooth activation
 * its own tangents, below and above, by shares in [0, 1] (`activation-lines.ts`). The bounds of the neurons
 * stay CROWN's. From CROWN's own α, projected gradient ascent takes steps of ‖Δα‖∞ = a_k in each ReLU,
 *
 *   α ← Π_[0,1](α + a_k · g/‖g‖∞),  g = ∂margin/∂α,
 *
 * and what counts is the best α met, so that no bound falls below CROWN's. The greatest bound there is is
 * that of `lp` (Salman et al. 2019, arXiv 1902.08722). The derivative in the parameters is taken at the α
 * found, held constant: at a maximiser inside [0, 1] that is the derivative of the maximum.
 */
import {
  abs,
  add,
  broadcastTo,
  constant,
  div,
  type FloatType,
  gradient,
  greater,
  input,
  inputName,
  maximum,
  minimum,
  mul,
  neg,
  reduceMax,
  reshape,
  type Tensor,
  total,
  where,
} from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { NetworkNode } from '../../network/network.js';
import { type MarginRun, markMargins, type RunLines } from '../../runtime/plan/layer-runs.js';
import type { Stage } from '../../runtime/plan/plan.js';
import { activationLines, chosenTangents } from '../activation-lines.js';
import { withoutNormalization } from '../front.js';
import {
  type BoundProblem,
  type BoundResult,
  type Bounds,
  type Relaxation,
  specificationMargins,
} from '../relaxation.js';
import { reluSlopes, type Slopes } from '../slopes.js';
import { backSubstitute, concretize } from './back-substitution.js';
import { crownBounds } from './crown.js';
import { fitsMarginKernel, marginRun } from './margin-run.js';
import { isNonlinear, slopesOf } from './nonlinear.js';

export interface AlphaCrownOptions {
  /** Gradient steps (default 20). */
  readonly iterations?: number;
  /** Largest change of an α in the first step, a_0 (default 1); it falls geometrically to a hundredth. */
  readonly stepSize?: number;
}

/** What the step size has become in the end. */
const FALL = 0.01;
/** Below any bound: what the first one is compared with. */
const LOWEST = -1e30;
/** Keeps 0/0 away where no α of a ReLU matters. */
const TINY = 1e-30;

const STEP = 'α step';
const MARGINS = 'α margins';
const START_MARGINS = 'α margins start';

/** Numbers in [0, 1] that choose lines, [features, rows, batch]: of each ReLU one array, of others two. */
type Alphas = readonly Tensor[];

/** A node whose lines α chooses. */
interface Chosen {
  readonly node: number;
  /** CROWN's own choice. */
  readonly start: Alphas;
  slopesWith(alphas: Alphas): Slopes;
}

/** What α chooses at a node: the slope below a ReLU, the tangents below and above a smooth activation. */
function chosenAt({ network: net, box }: BoundProblem, node: number, bounds: Bounds, count: number): Chosen {
  const { layer } = net.nodes[node] as NetworkNode;
  const features = featuresOf(layer.output);
  const batch = box.lower.shape[1] as number;
  const wide = (t: Tensor) => reshape(t, [features, 1, batch]);
  const forRows = (t: Tensor) => broadcastTo(wide(t), [features, count, batch]);
  if (layer.kind === 'activation') {
    const { below, above } = chosenTangents(layer.function, bounds);
    const ends = { lower: wide(bounds.lower), upper: wide(bounds.upper) };
    return {
      node,
      start: [forRows(below), forRows(above)],
      slopesWith: ([below, above]) =>
        activationLines(layer.function, ends, { below: below as Tensor, above: above as Tensor }),
    };
  }
  const slopes = reluSlopes(bounds);
  const unstable = greater(neg(mul(bounds.lower, bounds.upper)), 0);
  const start = forRows(slopes.lower);
  // A stable ReLU has one line, whatever its α.
  const slopesWith = ([alpha]: Alphas) => ({
    ...slopes,
    lower: where(wide(unstable), alpha as Tensor, start),
  });
  return { node, start: [start], slopesWith };
}

/** One problem: α as CROWN has it, and the margins [rows, batch] as a function of α. */
function alphaProblem(problem: BoundProblem) {
  const { network: net, parameters, box, specification } = problem;
  const { stages, before } = crownBounds(problem);
  const rows = specificationMargins(specification, net.classes, box.lower.dtype as FloatType);
  const count = rows.shape[1] as number;
  const chosen = net.nodes.flatMap(({ layer }, node) =>
    isNonlinear(layer) ? [chosenAt(problem, node, before(node), count)] : [],
  );
  return {
    stages,
    start: chosen.flatMap(({ start }) => start),
    margins(alphas: Alphas): Tensor {
      let next = 0;
      const slopes = new Map(
        chosen.map(({ node, start, slopesWith }) => {
          next += start.length;
          return [node, slopesWith(alphas.slice(next - start.length, next))];
        }),
      );
      const at = (node: number) => slopes.get(node) as Slopes;
      return concretize(backSubstitute(net, parameters, net.nodes.length - 1, rows, at), box);
    },
    /** The margins' run, where the margin kernel knows the network. */
    run(alphas: Alphas): MarginRun | undefined {
      const lines = (node: number): RunLines => {
        const { upper: lambda, intercept: mu } = slopesOf(net, node, before(node));
        const alpha = alphas[chosen.findIndex((one) => one.node === node)] as Tensor;
        return { alpha, lambda, mu, constant: 'zeros' };
      };
      const run = marginRun(problem, rows, lines);
      return run && fitsMarginKernel(run) ? run : undefined;
    },
  };
}

/** The stage that searches from the arrays `from` on and leaves the best α under the names `best`. */
function ascent(
  { margins, run: runOf }: Pick<ReturnType<typeof alphaProblem>, 'margins' | 'run'>,
  alphas: Alphas,
  from: readonly string[],
  best: readonly string[],
  steps: readonly number[],
): Stage {
  const dtype = (alphas[0] as Tensor).dtype as FloatType;
  const value = margins(alphas);
  const greatest = input(MARGINS, value.shape, dtype);
  const better = reshape(greater(value, greatest), [1, ...value.shape]);
  const state: Record<string, string> = { [MARGINS]: START_MARGINS };
  const next: Record<string, Tensor> = { [MARGINS]: maximum(greatest, value) };
  gradient(total(value), alphas).forEach((slope, i) => {
    const [alpha, start, found] = [alphas[i] as Tensor, from[i] as string, best[i] as string];
    const direction = div(slope, maximum(reduceMax(abs(slope), [0]), TINY));
    state[inputName(alpha)] = start;
    next[inputName(alpha)] = minimum(maximum(add(alpha, mul(direction, input(STEP, [], dtype))), 0), 1);
    state[found] = start;
    next[found] = where(better, alpha, input(found, alpha.shape, dtype));
  });
  const run = runOf(alphas);
  const names = Object.fromEntries(alphas.map((alpha, i) => [inputName(alpha), best[i] as string]));
  const search = run && { run, steps, best: names };
  return { kind: 'iterate', count: steps.length, state, next, schedule: { [STEP]: steps }, search };
}

/** α-CROWN with options of its search. @throws RangeError for options that make no sense */
export function alphaCrownWith({ iterations = 20, stepSize = 1 }: AlphaCrownOptions = {}): Relaxation {
  const refuse = (expected: string, got: number): never => {
    throw new RangeError(`alpha-crown: expected ${expected}, got ${got}; leave it out for the default`);
  };
  if (!(Number.isInteger(iterations) && iterations >= 0))
    refuse('iterations to be an integer ≥ 0', iterations);
  if (!(stepSize > 0)) refuse('a stepSize above 0', stepSize);
  // One more: the last repetition judges the point that the last step led to.
  const steps = Array.from(
    { length: iterations + 1 },
    (_, k) => stepSize * FALL ** (k / Math.max(iterations, 1)),
  );
  return {
    name: 'alpha-crown',
    differentiable: true,
    bound(original): BoundResult {
      const problem = alphaProblem(withoutNormalization(original));
      const { stages, start, margins } = problem;
      if (start.length === 0) return { stages, margins: margins([]) };
      const names = (what: string) => start.map((_, i) => `α ${what}:${i}`);
      const inputs = (what: string) =>
        names(what).map((name, i) => input(name, (start[i] as Tensor).shape, (start[i] as Tensor).dtype));
      const found = inputs('best');
      const best = margins(found);
      const run = problem.run(found);
      if (run !== undefined) markMargins(run, best);
      const beginning: Stage = {
        kind: 'whole',
        outputs: {
          ...Object.fromEntries(names('start').map((name, i) => [name, start[i] as Tensor])),
          [START_MARGINS]: broadcastTo(constant(LOWEST, [], best.dtype), best.shape),
        },
      };
      return {
        stages: [...stages, beginning, ascent(problem, inputs('now'), names('start'), names('best'), steps)],
        margins: best,
      };
    },
  };
}

export const alphaCrown: Relaxation = alphaCrownWith();
