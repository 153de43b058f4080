/**
 * What training minimises, over one micro-batch:
 *
 *   L(θ) = Σ_i w_i [(1 − κ)·CE(f_θ(x_i), y_i) + κ·CE(worst case under a relaxation, y_i)] + Σ_i w_i · [γ₁ Σ|W| + γ₂ R(θ)]
 *
 * with image weights w (1/batch, 0 for padding) so that micro-batches add up to the batch, and R the warm-up regulariser. κ, ε and
 * γ₂ are inputs of the program: schedules change numbers, never graphs. Built once for a network and a relaxation, compiled once.
 */
import { add, addAll, type FloatType, input, maximum, mul, neg, reshape, sub, type Tensor, total, transpose } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { type Network, logits as networkLogits, parameterInputs } from '../network/network.js';
import type { BoundProblem, Relaxation } from '../relaxation/relaxation.js';
import { createPlan, type Plan, type Stage } from '../runtime/plan.js';
import { inputBox } from './input-box.js';
import { crossEntropy, isPositive, marginCrossEntropy, naturalMargin, worstMargin } from './losses.js';
import { warmupRegularizer } from './warmup-regularizer.js';

export interface ObjectiveOptions {
  readonly network: Network;
  /** Undefined: natural training. */
  readonly relaxation?: Relaxation;
  /** Bound the robust loss at once instead of each margin, for relaxations that can (default false); counts then use looser margins. */
  readonly lossFusion?: boolean;
  /** Images of one program call. */
  readonly microBatch: number;
  /** Cut the box to [0, 1] (default true). */
  readonly clipBox?: boolean;
  /** γ₁, weight of Σ|W| over weights (not biases). */
  readonly l1?: number;
  /** Whether the regulariser R is part of the graph (its weight is an input). */
  readonly warmupRegularizer?: boolean;
  /** What of the natural forward pass is computed: with κ = 1 its loss is not needed (default `loss`, which includes the accuracy). */
  readonly natural?: 'loss' | 'accuracy' | 'none';
  readonly dtype?: FloatType;
}

/** Numbers that schedules set for a step. */
export interface ObjectiveScalars {
  /** Radius of the box, in pixels of [0, 1]. */
  readonly epsilon: number;
  /** Weight of the robust loss. */
  readonly kappa: number;
  /** γ₂, weight of the warm-up regulariser. */
  readonly regularization: number;
}

export interface Objective {
  readonly network: Network;
  readonly microBatch: number;
  readonly dtype: FloatType;
  /** Names that the program's outputs beside `loss` have: sums over images of 0/1. */
  readonly counts: readonly string[];
  /** Loss and counts; with `gradient` also ∂loss/∂parameters. */
  readonly value: Plan;
  readonly gradient: Plan | undefined;
}

/** Σ|w| over the weights of a network. */
function weightNorm(parameters: Readonly<Record<string, Tensor>>): Tensor {
  const weights = Object.entries(parameters).filter(([name]) => name.endsWith('.weight'));
  return addAll(weights.map(([, w]) => total(maximum(w, neg(w)))));
}

/** log 2: below this cross-entropy Σ_j≠y exp(logit_j − logit_y) < 1, so that every margin is positive. */
const PROOF = Math.log(2);

/** Upper bounds of the robust cross-entropy, and a number that is positive only where robustness is proved; [1, batch] each. */
function robustLoss(relaxation: Relaxation, problem: BoundProblem, fusion: boolean): { stages: readonly Stage[]; loss: Tensor; worst: Tensor } {
  if (!fusion) {
    const { stages, margins } = relaxation.bound(problem);
    return { stages, loss: marginCrossEntropy(margins), worst: worstMargin(margins) };
  }
  if (relaxation.fused === undefined) throw new RangeError(`loss fusion: expected a relaxation that has it (crown-ibp), got ${relaxation.name}; leave it out`);
  const { stages, loss, margins } = relaxation.fused(problem);
  return { stages, loss, worst: maximum(worstMargin(margins), sub(PROOF, loss)) };
}

/** Compiles an objective for micro-batches of a fixed size. */
export function createObjective(options: ObjectiveOptions): Objective {
  const { network: net, relaxation, microBatch, natural = 'loss', dtype = 'float32' } = options;
  const parameters = parameterInputs(net, dtype);
  const images = input('images', [microBatch, featuresOf(net.input)], dtype);
  const labels = input('labels', [microBatch], 'int32');
  const weight = reshape(input('weight', [microBatch], dtype), [1, microBatch]);
  const scalar = (name: keyof ObjectiveScalars) => input(name, [], dtype);
  const x = transpose(images);
  const weighted = (perImage: Tensor) => total(mul(perImage, weight));
  const present = isPositive(weight);
  const count = (perImage: Tensor) => total(mul(isPositive(perImage), present));

  const outputs: Record<string, Tensor> = {};
  const losses: Tensor[] = [];
  let stages: readonly Stage[] = [];
  if (natural !== 'none' || relaxation === undefined) {
    const values = networkLogits(net, parameters, x);
    if (relaxation === undefined) losses.push(weighted(crossEntropy(values, labels)));
    else if (natural === 'loss') losses.push(mul(weighted(crossEntropy(values, labels)), sub(1, scalar('kappa'))));
    outputs.natural = count(naturalMargin(values, labels));
  }
  const box = relaxation || options.warmupRegularizer ? inputBox(x, scalar('epsilon'), options.clipBox ?? true) : undefined;
  if (relaxation !== undefined && box !== undefined) {
    const bound = robustLoss(relaxation, { network: net, parameters, box, specification: { kind: 'labels', labels } }, options.lossFusion ?? false);
    stages = bound.stages;
    const robust = weighted(bound.loss);
    losses.push(natural === 'loss' ? mul(robust, scalar('kappa')) : robust);
    outputs.certified = count(bound.worst);
  }
  if (options.l1) losses.push(mul(mul(weightNorm(parameters), options.l1), total(weight)));
  if (options.warmupRegularizer && box) losses.push(mul(mul(warmupRegularizer(net, parameters, box, present), scalar('regularization')), total(weight)));
  const loss = losses.reduce((a, b) => add(a, b));
  const all: Stage[] = [...stages, { kind: 'whole', outputs: { loss, ...outputs } }];
  const differentiable = relaxation === undefined || relaxation.differentiable;
  return {
    network: net,
    microBatch,
    dtype,
    counts: Object.keys(outputs),
    value: createPlan(all),
    gradient: differentiable ? createPlan(all, Object.keys(parameters)) : undefined,
  };
}
