/**
 * Directions in parameter space along which losses are looked at.
 *
 * A unit of length is as large as the parameters: along d, every array W_l moves by t·rms(W_l) per
 * coordinate (root mean square). So t = 0.01 is one percent in every layer, whatever its scale; a ReLU
 * network's rescaled layers look the same (Li et al. 2018, "Visualizing the loss landscape of neural nets",
 * normalise alike).
 */
import type { ParameterSlot } from '../../network/parameters.js';
import { fillNormals, type Key } from '../../runtime/random/keys.js';

const rms = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / Math.max(1, values.length));

/** Each array of `raw` brought to the root mean square of that of θ; zero arrays of θ do not move. */
function layerwise(
  raw: Float32Array,
  theta: Float32Array,
  layout: readonly Pick<ParameterSlot, 'offset' | 'size'>[],
): Float32Array {
  const direction = new Float32Array(theta.length);
  for (const { offset, size } of layout) {
    const part = raw.subarray(offset, offset + size);
    const scale = rms(theta.subarray(offset, offset + size)) / (rms(part) || 1);
    direction.set(
      part.map((value) => value * scale),
      offset,
    );
  }
  return direction;
}

/** d ∼ N(0, I), array by array as large as θ; a pure function of the key. */
export function randomDirection(
  key: Key,
  theta: Float32Array,
  layout: readonly Pick<ParameterSlot, 'offset' | 'size'>[],
): Float32Array {
  const normal = new Float32Array(theta.length);
  fillNormals(key, normal);
  return layerwise(normal, theta, layout);
}

/** d ∝ −∇L, as long as θ is in the norm of `randomDirection`: downhill for t > 0. */
export function gradientDirection(gradient: Float32Array, theta: Float32Array): Float32Array {
  const scale = rms(theta) / (rms(gradient) || 1);
  return gradient.map((value) => -value * scale);
}

/** d = θ' − θ: at t = 1 is θ'. @throws RangeError for another number of parameters */
export function directionTo(target: Float32Array, theta: Float32Array): Float32Array {
  if (target.length !== theta.length)
    throw new RangeError(
      `direction: expected ${theta.length} parameters as the network has, got ${target.length}; take a ` +
        'run of the same architecture',
    );
  return target.map((value, i) => value - (theta[i] as number));
}

/** θ + t·d (+ s·e). */
export function moved(
  theta: Float32Array,
  ...steps: readonly (readonly [amount: number, direction: Float32Array])[]
): Float32Array {
  const point = Float64Array.from(theta);
  for (const [amount, direction] of steps)
    for (let i = 0; i < point.length; i++)
      point[i] = (point[i] as number) + amount * (direction[i] as number);
  return Float32Array.from(point);
}
