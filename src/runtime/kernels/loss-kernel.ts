/**
 * The door to the loss kernel (`native/`), which is built with the row kernel: the certified loss of many
 * members on the same images, values only. Without it, plans do the same with programs of ONNX Runtime.
 */
import type { Floats } from './arrays.js';
import { featuresOf } from './convolution.js';
import { encodeLoss, type KernelLoss, type LossLayer, type MemberPoints } from './loss-chain.js';
import { addon } from './row-kernel.js';

/** Sums of a member on a micro-batch, in the order of the kernel's. */
export const LOSS_SUMS = {
  /** Cross-entropy of the logits, weighted and not, and how many images are right. */
  naturalWeighted: 0,
  naturalSum: 1,
  natural: 2,
  /** Cross-entropy of the worst case, and how many images are proved. */
  robustWeighted: 3,
  robustSum: 4,
  certified: 5,
  /** The warm-up regulariser, and Σ|W|. */
  regularizer: 6,
  norm: 7,
} as const;
export const LOSS_SUM_COUNT = 8;

/** Micro-batches one after the other. */
export interface LossImages {
  /** [images, features], pixels. */
  readonly images: Floats;
  readonly labels: Int32Array;
  /** Weight of each image in the loss; 0 for one that is not there. */
  readonly weight: Floats;
  readonly epsilon: number;
  /** Whether the warm-up regulariser is wanted. */
  readonly regularizer: boolean;
}

function check({ layers, batch }: KernelLoss, members: MemberPoints, on: LossImages): number {
  const features = featuresOf((layers[0] as LossLayer).input);
  const classes = layers.at(-1)?.output[0] as number;
  const { images, labels, weight } = on;
  const parts = labels.length / batch;
  if (!Number.isInteger(parts) || parts < 1 || images.length !== labels.length * features)
    throw new RangeError(
      `loss kernel: expected micro-batches of ${batch} images of ${features} pixels, got ` +
        `${images.length} pixels and ${labels.length} labels`,
    );
  const types = [images, weight, members.points].map((array) => array.constructor);
  if (weight.length !== labels.length || types.some((type) => type !== types[0]))
    throw new RangeError('loss kernel: expected a weight for each image, and arrays of one type');
  if (!Number.isInteger(members.points.length / members.coordinates) || members.points.length === 0)
    throw new RangeError(`loss kernel: expected members of ${members.coordinates} parameters each`);
  for (const label of labels)
    if (label < 0 || label >= classes)
      throw new RangeError(`loss kernel: expected labels of 0 to ${classes - 1}, got ${label}`);
  return parts;
}

/** The sums of each member on each micro-batch, [members, micro-batches, sums]. */
export function kernelLosses(loss: KernelLoss, members: MemberPoints, on: LossImages): Float64Array {
  const parts = check(loss, members, on);
  const Type = on.images.constructor as Float32ArrayConstructor;
  const ints = encodeLoss(loss, parts, on.regularizer, members);
  const normalization = Type.from(loss.normalization.length > 0 ? loss.normalization : [1, 0]);
  const floats = [normalization, members.points, on.images, on.weight, Type.of(on.epsilon)];
  const sums = new Float64Array((members.points.length / members.coordinates) * parts * LOSS_SUM_COUNT);
  const chains = loss.chains.map((chain) => chain.ints);
  addon()?.losses(ints, chains, floats, on.labels, sums);
  return sums;
}
