/**
 * For tests: ONNX files of a network on the images that a bias field makes of one image, as the competition's
 * cifar_biasfield has them: pixel · Σ_ij c_ij xⁱ yʲ, i, j ≤ 3, x, y ∈ [0, 1], of 16 coefficients.
 */
import { decodeOnnx, type OnnxModel } from '../formats/onnx.js';
import type { Extents } from '../network/layers/layer.js';
import { integers, op } from './onnx-models.js';

/** Powers of x and y that coefficients stand for; the last is 1 everywhere. */
const POWERS = [3, 2, 1, 0].flatMap((i) => [3, 2, 1, 0].map((j) => [i, j] as const));
export const COEFFICIENTS = POWERS.length;

/** The model of a file that reads an image [1, …extents], behind the field over `image`. */
export function biasFieldModel(
  file: Uint8Array,
  [channels, height, width]: Extents,
  image: Float32Array,
): OnnxModel {
  const network = decodeOnnx(file);
  const [{ name: read = '' } = {}] = network.inputs;
  const data = Float32Array.from({ length: image.length * COEFFICIENTS }, (_, at) => {
    const [pixel, k] = [Math.floor(at / COEFFICIENTS), at % COEFFICIENTS];
    const [x, y] = [pixel % width, Math.floor(pixel / width) % height];
    const [i, j] = POWERS[k] as (typeof POWERS)[number];
    return (image[pixel] as number) * (x / (width - 1)) ** i * (y / (height - 1)) ** j;
  });
  const field = { name: 'field w', shape: [image.length, COEFFICIENTS], data };
  return {
    ...network,
    inputs: [{ name: 'c', type: 'FLOAT', shape: [1, COEFFICIENTS] }],
    outputs: network.outputs.map(({ name, type }) => ({ name, type })),
    nodes: [
      op('Gemm', ['c', 'field w'], 'field', { transB: { int: 1 } }),
      op('Reshape', ['field', 'field shape'], read),
      ...network.nodes,
    ],
    initializers: [...network.initializers, field, integers('field shape', [1, channels, height, width])],
  };
}
