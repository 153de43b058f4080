/**
 * Initial parameters of a network, each a pure function of a key.
 *
 * | scheme | weights | biases | source |
 * | --- | --- | --- | --- |
 * | kaiming | U(−1/√fan_in, 1/√fan_in) | the same | PyTorch's default for linear and convolution layers |
 * | ibp | N(0, 2π/fan_in²), of the last layer as kaiming | as kaiming | Shi et al. 2021, arXiv 2103.17268 |
 *
 * `ibp` keeps the width of interval bounds constant from layer to layer: E Σ_i |w_i| = fan_in · √(2/π) ·
 * √(2π)/fan_in = 2, and a ReLU halves it. Under `kaiming` the widths grow exponentially with depth, which
 * certified training then has to undo. No ReLU follows the last layer, so its weights are those of `kaiming`.
 */
import { sizeOf } from '../graph/index.js';
import { deriveKey, fillNormals, type Key, uniforms } from '../runtime/random/keys.js';
import { isBatchNorm } from './layers/batch-norm.js';
import { type Network, parameterName } from './network.js';

export const initializationSchemes = ['kaiming', 'ibp'] as const;
/**
 * How weights are drawn: `kaiming`, uniform by fan-in, or `ibp`, which keeps the width of interval bounds
 * (Shi et al. 2021).
 */
export type InitializationScheme = (typeof initializationSchemes)[number];

/**
 * U(−1/√fan_in, 1/√fan_in): kaiming_uniform with a = √5, gain √(2/(1 + a²)) = 1/√3, bound √3 · gain/√fan_in.
 */
function kaiming(key: Key, size: number, fanIn: number): Float32Array {
  const out = new Float32Array(size);
  const bound = 1 / Math.sqrt(fanIn);
  uniforms(key, out);
  return out.map((u) => bound * (2 * u - 1));
}

/** N(0, 2π/fan_in²) */
function ibp(key: Key, size: number, fanIn: number): Float32Array {
  const out = new Float32Array(size);
  const deviation = Math.sqrt(2 * Math.PI) / fanIn;
  fillNormals(key, out);
  return out.map((z) => deviation * z);
}

/**
 * Initial arrays by name. Array number i of the layout draws from its own key, `deriveKey(key, i, 0)`.
 * Element-wise scale layers begin as the identity and batch normalisations with the scale they give, weights
 * 1 and biases 0.
 * @throws RangeError for an unknown scheme
 */
export function initialize(
  { nodes }: Network,
  scheme: InitializationScheme,
  key: Key,
): Record<string, Float32Array> {
  if (!initializationSchemes.includes(scheme))
    throw new RangeError(
      `initialisation: expected one of ${initializationSchemes.join(', ')}, got ${String(scheme)}`,
    );
  const specs = nodes.flatMap(({ layer }, node) => layer.parameters.map((spec) => ({ layer, node, spec })));
  const last = nodes.findLastIndex(({ layer }) => layer.parameters.length > 0);
  const arrays = specs.map(({ layer, node, spec }, i) => {
    const size = sizeOf(spec.shape);
    const name = parameterName(node, spec.name);
    if (layer.name === 'scale' || isBatchNorm(layer))
      return [name, new Float32Array(size).fill(spec.name === 'weight' ? 1 : 0)] as const;
    const draw = scheme === 'ibp' && spec.name === 'weight' && node !== last ? ibp : kaiming;
    return [name, draw(deriveKey(key, i, 0), size, spec.fanIn)] as const;
  });
  return Object.fromEntries(arrays);
}
