/**
 * For tests: an ONNX file that segments an image and counts the pixels whose class is that of a mask, as the
 * competition's Carvana networks do: `x` [1, 4, height, width], the mask its last channel, → `y`, int64.
 */
import type { OnnxModel, OnnxTensor } from '../formats/onnx.js';
import { normalNumbers } from './numbers.js';
import { integers, model, op } from './onnx-models.js';

export interface Segmentation {
  readonly height: number;
  readonly width: number;
  readonly hidden: number;
  /** Whether a branch of half the size, raised again, is joined to what it was made of, as in a U-Net. */
  readonly skip?: boolean;
  /** Of the weights. */
  readonly seed: number;
}

const scalar = (name: string, value: number): OnnxTensor => ({
  name,
  shape: [],
  data: BigInt64Array.of(BigInt(value)),
});

/** The file, or with `scores` the same up to the logits of class 1 over those of class 0, [1, height · width]. */
export function segmentation(
  { height, width, hidden, skip = false, seed }: Segmentation,
  scores = false,
): OnnxModel {
  const normals = (name: string, shape: readonly number[], scale: number): OnnxTensor => {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = normalNumbers(`segmentation ${seed} ${name}`, size);
    return { name, shape, data: Float32Array.from(values, (z) => scale * z) };
  };
  const pads = { pads: { ints: [1, 1, 1, 1] }, kernel_shape: { ints: [3, 3] } };
  const square = { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } };
  const branch = [
    op('Conv', ['r1', 'w3', 'b1'], 'h2', square),
    op('Relu', ['h2'], 'r2'),
    op('ConvTranspose', ['r2', 'w4', 'b1'], 'raised', square),
    op('Concat', ['r1', 'raised'], 'joined', { axis: { int: 1 } }),
  ];
  const body = [
    op('Gather', ['x', 'colours'], 'image', { axis: { int: 1 } }),
    op('Conv', ['image', 'w1', 'b1'], 'h1', pads),
    op('Relu', ['h1'], 'r1'),
    ...(skip ? branch : []),
    op('Conv', [skip ? 'joined' : 'r1', 'w2', 'b2'], 'logits', { kernel_shape: { ints: [1, 1] } }),
  ];
  const tail = [
    op('Gather', ['x', 'last'], 'gt', { axis: { int: 1 } }),
    op('Softmax', ['logits'], 'soft', { axis: { int: 1 } }),
    op('Gather', ['soft', 'zero'], 'probabilities', { axis: { int: 0 } }),
    op('ArgMax', ['probabilities'], 'class', { axis: { int: 0 }, keepdims: { int: 0 } }),
    op('OneHot', ['class', 'depth', 'values'], 'hot', { axis: { int: -1 } }),
    op('Transpose', ['hot'], 'turned', { perm: { ints: [2, 0, 1] } }),
    op('Gather', ['turned', 'one'], 'foreground', { axis: { int: 0 } }),
    op('Cast', ['foreground'], 'found', { to: { int: 6 } }),
    op('Cast', ['gt'], 'wanted', { to: { int: 6 } }),
    op('Equal', ['found', 'wanted'], 'same'),
    op('Cast', ['same'], 'each', { to: { int: 7 } }),
    op('ReduceSum', ['each'], 'y', { keepdims: { int: 0 } }),
  ];
  const difference = [
    op('Gather', ['logits', 'zero'], 'no', { axis: { int: 1 } }),
    op('Gather', ['logits', 'one'], 'yes', { axis: { int: 1 } }),
    op('Sub', ['yes', 'no'], 'score'),
    op('Flatten', ['score'], 'y'),
  ];
  return model({
    input: [1, 4, height, width],
    nodes: [...body, ...(scores ? difference : tail)],
    constants: [
      normals('w1', [hidden, 3, 3, 3], 0.5),
      normals('b1', [hidden], 0.3),
      normals('w2', [2, skip ? 2 * hidden : hidden, 1, 1], 1),
      ...(skip
        ? [normals('w3', [hidden, hidden, 2, 2], 0.5), normals('w4', [hidden, hidden, 2, 2], 0.5)]
        : []),
      normals('b2', [2], 0.3),
      integers('colours', [0, 1, 2]),
      scalar('last', -1),
      scalar('zero', 0),
      scalar('one', 1),
      scalar('depth', 2),
      integers('values', [0, 1]),
    ],
    changes: { outputs: [{ name: 'y', type: scores ? 'FLOAT' : 'INT64' }] },
  });
}
