/** Networks that cannot read the images of a data set. */
import type { Dataset } from '../data/dataset.js';
import { featuresOf } from '../network/layers/layer.js';
import type { Network } from '../network/network.js';

/**
 * Why a network cannot be judged on the images of a data set, "expected …, got …"; undefined where it reads
 * them, as [C, H, W] or flattened, and has their classes.
 */
export function misfitOf(
  { input, classes: logits }: Network,
  { name, shape, classes }: Pick<Dataset, 'name' | 'shape' | 'classes'>,
): string | undefined {
  const flat = input[1] === 1 && input[2] === 1 && input[0] === featuresOf(shape);
  const same = input.every((extent, axis) => extent === shape[axis]);
  if (!flat && !same)
    return `expected a network on ${shape.join('×')} images as ${name} has them, got ${input.join('×')}`;
  return logits === classes
    ? undefined
    : `expected ${classes} logits, one for each class of ${name}, got ${logits}`;
}
