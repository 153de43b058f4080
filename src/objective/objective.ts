/**
 * What training minimises, over one micro-batch:
 *
 *   L(θ) = Σ_i w_i [(1 − κ)·CE(f_θ(x_i), y_i) + κ·L_rob(θ; x_i, y_i)] + Σ_i w_i · [γ₁ Σ|W| + γ₂ R(θ)]
 *
 * with L_rob the robust loss of a training method (one file each, see `robust-loss`), image weights w
 * (1/batch, 0 for padding) so that micro-batches add up to the batch, and R the warm-up regulariser. κ, ε and
 * γ₂ are inputs of the program: schedules change numbers, never graphs. Built once for a network and a
 * method, compiled once.
 *
 * Batch normalisation is folded away first, with the statistics of the micro-batch's clean images
 * (`clean-batch`): bounds and attacks are those of the folded network, their derivative goes through the
 * statistics.
 */
import {
  abs,
  add,
  addAll,
  type FloatType,
  input,
  type Lifting,
  mul,
  reshape,
  sub,
  type Tensor,
  total,
  transpose,
} from '../graph/index.js';
import { batchNormNodes } from '../network/folding.js';
import { featuresOf } from '../network/layers/layer.js';
import { type Network, type Parameters, parameterInputs, parameterName } from '../network/network.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import { createPlan, createValuePlan, hasPopulations } from '../runtime/plan/compile.js';
import type { Plan, Stage } from '../runtime/plan/plan.js';
import { withAscentKernel } from '../runtime/plan/stages/ascent-kernel.js';
import { withIntervalKernel } from '../runtime/plan/stages/interval-kernel.js';
import { certified } from './certified.js';
import { type CleanBatch, cleanBatch } from './clean-batch.js';
import { inputBox } from './input-box.js';
import { lossKernelOf } from './loss-kernel.js';
import { crossEntropy, isPositive, naturalMargin } from './losses.js';
import type { RobustLoss } from './robust-loss.js';
import { warmupRegularizer } from './warmup-regularizer.js';
import { givenStatistics, type StatisticsLayer, statisticsLayers, statisticsNames } from './whole-batch.js';

/** What an objective is built of, (1 − κ)·natural + κ·robust loss; ε and κ are inputs of its programs. */
export interface ObjectiveOptions {
  readonly network: Network;
  /** The training method's loss; undefined: natural training. */
  readonly robust?: RobustLoss;
  /** Short for `robust: certified(relaxation)`. */
  readonly relaxation?: Relaxation;
  /**
   * Bound the robust loss at once instead of each margin, for relaxations that can (default false); counts
   * then use looser margins.
   */
  readonly lossFusion?: boolean;
  /** Images of one program call. */
  readonly microBatch: number;
  /** Cut the box to [0, 1] (default true). */
  readonly clipBox?: boolean;
  /** γ₁, weight of Σ|W| over weights (not biases). */
  readonly l1?: number;
  /** Whether the regulariser R is part of the graph (its weight is an input). */
  readonly warmupRegularizer?: boolean;
  /**
   * What of the natural forward pass is computed: with κ = 1 its loss is not needed (default `loss`, which
   * includes the accuracy).
   */
  readonly natural?: 'loss' | 'accuracy' | 'none';
  readonly dtype?: FloatType;
  /**
   * What batch normalisation takes its statistics from: each micro-batch (default), within its program, or
   * the whole batch, in passes of their own.
   */
  readonly statistics?: 'micro-batch' | 'batch';
}

/** Numbers that schedules set for a step. */
export interface ObjectiveScalars {
  /** Radius of the box, in pixels of [0, 1]. */
  readonly epsilon: number;
  /** Weight of the robust loss. */
  readonly kappa: number;
  /** γ₂, weight of the warm-up regulariser. */
  readonly regularization: number;
  /** Weight β of the tight relaxation, for an objective of a mixture. */
  readonly beta?: number;
}

/** A compiled loss of micro-batches of one size: with values only, and with ∂loss/∂θ. */
export interface Objective {
  readonly network: Network;
  readonly microBatch: number;
  readonly dtype: FloatType;
  /** Whether the images of a micro-batch share statistics, so that micro-batches should be alike in size. */
  readonly batchStatistics: boolean;
  /** Batch normalisations whose statistics are those of the whole batch: inputs of the plans. */
  readonly statistics?: readonly StatisticsLayer[];
  /** Names that the program's outputs beside `loss` have: sums over images of 0/1. */
  readonly counts: readonly string[];
  /**
   * Outputs that are parts of the loss: sums over images, weights of the parts included, so that their
   * averages add up to it. None where the loss is one part.
   */
  readonly parts: readonly string[];
  /**
   * Inputs that take numbers uniform on [0, 1), [microBatch, n]: where attacks start. Their names, and n for
   * one image.
   */
  readonly noise: Readonly<Record<string, number>>;
  /** Loss and counts; with `gradient` also ∂loss/∂parameters. */
  readonly value: Plan;
  readonly gradient: Plan | undefined;
  /**
   * Plans that run many sets of parameters at once; undefined where a solver outside the graph has a part in
   * it.
   */
  readonly population: ((parameters: Lifting) => PopulationPlans) | undefined;
}

/** Loss and counts of each member, [members], and with `gradient` ∂loss/∂parameters, [members, …shape]. */
export interface PopulationPlans {
  readonly value: () => Plan;
  readonly gradient: (() => Plan) | undefined;
}

/** Σ|w| over the weights of a network, those of batch normalisation apart. */
function weightNorm(net: Network, parameters: Parameters): Tensor {
  const apart = batchNormNodes(net).map((node) => parameterName(node, 'weight'));
  const weights = Object.entries(parameters).filter(
    ([name]) => name.endsWith('.weight') && !apart.includes(name),
  );
  return addAll(weights.map(([, w]) => total(abs(w))));
}

/** Compiles an objective for micro-batches of a fixed size. */
export function createObjective(options: ObjectiveOptions): Objective {
  const { network: net, microBatch, natural = 'loss', dtype = 'float32' } = options;
  const method =
    options.robust ?? (options.relaxation && certified(options.relaxation, { fusion: options.lossFusion }));
  const parameters = parameterInputs(net, dtype);
  const images = input('images', [microBatch, featuresOf(net.input)], dtype);
  const labels = input('labels', [microBatch], 'int32');
  const weight = reshape(input('weight', [microBatch], dtype), [1, microBatch]);
  const scalar = (name: keyof ObjectiveScalars) => input(name, [], dtype);
  const x = transpose(images);
  const epsilon = scalar('epsilon');
  const weighted = (perImage: Tensor) => total(mul(perImage, weight));
  const present = isPositive(weight);
  const count = (perImage: Tensor) => total(mul(isPositive(perImage), present));

  const clip = options.clipBox ?? true;

  const assemble = (clean: CleanBatch) => {
    const outputs: Record<string, Tensor> = {};
    const parts: Record<string, Tensor> = {};
    const losses: Tensor[] = [];
    const summed = (perImage: Tensor) => total(mul(perImage, present));
    let stages: readonly Stage[] = [];
    let noise: Objective['noise'] = {};
    if (natural !== 'none' || method === undefined) {
      const values = clean.logits();
      if (method === undefined || natural === 'loss') {
        const share = (part: Tensor) => (method === undefined ? part : mul(part, sub(1, scalar('kappa'))));
        const perImage = crossEntropy(values, labels);
        losses.push(share(weighted(perImage)));
        parts.naturalLoss = share(summed(perImage));
      }
      outputs.natural = count(naturalMargin(values, labels));
    }
    const seen = { network: clean.network, parameters: clean.parameters };
    if (method !== undefined) {
      const made = method.build({ ...seen, x, labels, weight, epsilon, clip, batch: microBatch, dtype });
      ({ stages, noise } = made);
      const share = (part: Tensor) => (natural === 'loss' ? mul(part, scalar('kappa')) : part);
      losses.push(share(weighted(made.loss)));
      parts.robustLoss = share(summed(made.loss));
      for (const [name, margin] of Object.entries(made.counts)) outputs[name] = count(margin);
    }
    const regularizers: Tensor[] = [];
    if (options.l1) regularizers.push(mul(weightNorm(net, parameters), options.l1));
    if (options.warmupRegularizer) {
      const regularizer = warmupRegularizer(
        seen.network,
        seen.parameters,
        inputBox(x, epsilon, clip),
        present,
      );
      regularizers.push(mul(regularizer, scalar('regularization')));
    }
    for (const regularizer of regularizers) losses.push(mul(regularizer, total(weight)));
    if (regularizers.length > 0) parts.regularizationLoss = mul(addAll(regularizers), total(present));
    const loss = losses.reduce((a, b) => add(a, b));
    const several = Object.keys(parts).length > 1 ? parts : {};
    const last: Stage = { kind: 'whole', outputs: { loss, ...outputs, ...several } };
    return {
      stages: clean.complete([...stages, last]),
      single: stages.length === 0,
      counts: Object.keys(outputs),
      parts: Object.keys(several),
      noise,
    };
  };
  const hasStatistics = batchNormNodes(net).length > 0;
  const ofBatch = hasStatistics && options.statistics === 'batch';
  const statistics = ofBatch ? givenStatistics : undefined;
  const inOne = assemble(cleanBatch(net, parameters, x, present, { statistics }));
  const { stages, counts, parts, noise } =
    inOne.single || !hasStatistics
      ? inOne
      : assemble(cleanBatch(net, parameters, x, present, { staged: true, statistics }));
  const inKernel = withIntervalKernel(stages).map((stage) =>
    stage.kind === 'iterate' ? withAscentKernel(stage) : stage,
  );
  const differentiable = method === undefined || method.differentiable;
  const names = [...Object.keys(parameters), ...(ofBatch ? statisticsNames(net) : [])];
  return {
    network: net,
    microBatch,
    dtype,
    batchStatistics: hasStatistics && !ofBatch,
    ...(ofBatch && { statistics: statisticsLayers(net, parameters, x, present, weight) }),
    counts,
    parts,
    noise,
    value: createValuePlan(inKernel, lossKernelOf(options, method)),
    gradient: differentiable ? createPlan(inKernel, names) : undefined,
    population:
      hasPopulations(stages) && !ofBatch
        ? (members) => ({
            value: () => createPlan(stages, [], members),
            gradient: differentiable ? () => createPlan(stages, names, members) : undefined,
          })
        : undefined,
  };
}
