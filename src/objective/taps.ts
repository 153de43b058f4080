/**
 * TAPS, training via adversarial propagation through subnetworks (Mao et al. 2023, arXiv 2305.04574):
 * interval bounds through the first block of the network, an attack in their box through the rest.
 *
 *   [l, u] = IBP bounds of the extractor's outputs over B(x, ε)
 *   L_TAPS = ln(1 + Σ_j≠y exp max over z ∈ [l, u] of (g_j(z) − g_y(z))), one attack for each class
 *            (multi-estimator), or CE(g(z*), y), z* ≈ argmax over [l, u] of CE(g(z), y) (single-estimator);
 *            g is the classifier block
 *   L(θ) = L_TAPS · L_IBP,  ∇L = w·L_IBP·∇L_TAPS + L_TAPS·∇L_IBP
 *
 * IBP overestimates and the attack underestimates; their errors offset each other. Gradients reach the
 * extractor through the point by the rectified link. w (5 for most published networks) weighs the two
 * gradients, not the value: estimators that see values only, such as PGPE, minimise the plain product.
 *
 * While ε grows, networks are trained by IBP alone (`warmup` of the method's entry); TAPS follows.
 */
import {
  add,
  broadcastTo,
  input,
  mul,
  reshape,
  stopGradient,
  sub,
  sum,
  type Tensor,
  total,
  transpose,
} from '../graph/index.js';
import { logitsOfRuns } from '../network/layer-runs.js';
import { featuresOf } from '../network/layers/layer.js';
import { type Bounds, specificationMargins } from '../relaxation/relaxation.js';
import { type AscentOptions, ascentStages, noiseOf, randomPlace } from './ascent.js';
import { splitBlocks } from './blocks.js';
import { gradientLink } from './gradient-link.js';
import { inputBox } from './input-box.js';
import { crossEntropy, marginCrossEntropy, worstMargin } from './losses.js';
import { boxPropagation } from './relu-shrinking.js';
import type { RobustGraph, RobustLoss, RobustProblem } from './robust-loss.js';

export const TAPS_ESTIMATORS = ['multi', 'single'] as const;

/** Options of TAPS (Mao et al. 2023): bounds through the first layers, an attack in the last block. */
export interface TapsOptions {
  /** ReLU layers of the classifier block. */
  readonly block: number;
  /**
   * One attack for each wrong class (default), or one for the loss: with 200 classes about eight times as
   * fast.
   */
  readonly estimator?: (typeof TAPS_ESTIMATORS)[number];
  /** w, weight of the gradient of L_TAPS (default 5). */
  readonly weight?: number;
  /** c of the gradient link (default 0.5). */
  readonly link?: number;
  /** The attack in the embedding. */
  readonly attack?: AscentOptions;
  /**
   * Losses of each image are multiplied (default, as in the paper), or their means over the batch (as CTBench
   * does): then a micro-batch has to be the whole batch.
   */
  readonly product?: (typeof TAPS_PRODUCTS)[number];
  /** λ_r of `relu-shrinking` (default 1). */
  readonly shrinking?: number;
}

export const TAPS_PRODUCTS = ['images', 'batch'] as const;

/** a·b, its derivative w·b·∇a + a·∇b. */
function weightedProduct(a: Tensor, b: Tensor, weight: number): Tensor {
  const [fixedA, fixedB] = [stopGradient(a), stopGradient(b)];
  // w·(a − a₀) is zero and carries the weight.
  return add(mul(a, b), mul(mul(sub(a, fixedA), fixedB), weight - 1));
}

/** The product of the weighted means of a and b, [1, batch], as the loss of each image. */
function productOfMeans(a: Tensor, b: Tensor, weight: number, problem: RobustProblem): Tensor {
  const mean = (x: Tensor) => total(mul(x, problem.weight));
  return broadcastTo(reshape(weightedProduct(mean(a), mean(b), weight), [1, 1]), [1, problem.batch]);
}

const [LOWER, UPPER, START, POINT] = [
  'embedding lower',
  'embedding upper',
  'embedding start',
  'embedding point',
];

/**
 * TAPS over any box of inputs; `counts` are of that box.
 * @throws RangeError where the block does not fit the network
 */
export function tapsOver(problem: RobustProblem, box: Bounds, options: TapsOptions): RobustGraph {
  const { network, parameters, labels, batch, dtype } = problem;
  const { estimator = 'multi', weight = 5, link, attack = {}, product = 'images' } = options;
  const propagation = boxPropagation(options.shrinking);
  const { extractor, classifier, classifierParameters } = splitBlocks(network, options.block);
  const own = classifierParameters(parameters);
  const features = featuresOf(classifier.input);
  const { classes } = network;
  const points = estimator === 'multi' ? classes - 1 : 1;
  const shape = [features, points, batch];

  const made = propagation.values(extractor, parameters, box).at(-1) as Bounds;
  const wide = ({ lower, upper }: Bounds): Bounds => ({
    lower: reshape(lower, [features, 1, batch]),
    upper: reshape(upper, [features, 1, batch]),
  });
  const { restarts = 1 } = attack;
  const noise = transpose(
    reshape(input(START, [batch, features * restarts * points], dtype), [batch, features * restarts, points]),
    [1, 2, 0],
  );
  const embedding: Bounds = {
    lower: input(LOWER, [features, batch], dtype),
    upper: input(UPPER, [features, batch], dtype),
  };
  const ends = wide(embedding);

  // g_y − g_j at point j of each image, [points, batch]; with a single point its loss stands for all of them.
  const outputs = (z: Tensor) => logitsOfRuns(classifier, own, reshape(z, [features, points * batch]));
  const coefficients = specificationMargins({ kind: 'labels', labels }, classes, dtype);
  const margins = (z: Tensor) =>
    reshape(sum(mul(coefficients, reshape(outputs(z), [classes, points, batch])), [0]), [points, batch]);
  const loss = (z: Tensor) =>
    estimator === 'multi' ? marginCrossEntropy(margins(z)) : crossEntropy(outputs(z), labels);
  const rises = (z: Tensor) =>
    reshape(estimator === 'multi' ? mul(margins(z), -1) : crossEntropy(outputs(z), labels), [
      1,
      points,
      batch,
    ]);

  const radius = mul(sub(ends.upper, ends.lower), 0.5);
  const starts = (restart: number) => randomPlace(ends, noiseOf(noise, restart, features));
  const bounds = propagation.margins({
    network: classifier,
    parameters: own,
    box: embedding,
    specification: { kind: 'labels', labels },
  });
  const taps = loss(gradientLink(input(POINT, shape, dtype), ends, link));
  return {
    stages: [
      { kind: 'whole', outputs: { [LOWER]: made.lower, [UPPER]: made.upper } },
      ...ascentStages({ ...attack, name: POINT, starts, shape, box: ends, radius, loss: rises }),
    ],
    loss:
      product === 'images'
        ? weightedProduct(taps, marginCrossEntropy(bounds), weight)
        : productOfMeans(taps, marginCrossEntropy(bounds), weight, problem),
    counts: { certified: worstMargin(bounds) },
    noise: { [START]: features * restarts * points },
  };
}

/** TAPS over the ball of radius ε. */
export function taps(options: TapsOptions): RobustLoss {
  return {
    name: 'taps',
    differentiable: true,
    build: (problem) => tapsOver(problem, inputBox(problem.x, problem.epsilon, problem.clip), options),
  };
}
