/**
 * A network and its parameters as a standard ONNX file that any tool reads: `input` [batch, C, H, W] float32
 * → `logits` [batch, classes].
 *
 * Only Conv, Gemm, Relu, Sigmoid, Tanh, Add, Sub, Div, Mul, Flatten and Reshape of opset 17; initialisers are
 * named as the parameters. Weights go out as they are, batch normalisation folded into them beforehand, so
 * the file computes what our own programs compute, up to the rounding of sums.
 */
import { encodeOnnx, type OnnxAttribute, type OnnxNode, type OnnxTensor } from '../../formats/onnx.js';
import { activationFunctions } from '../activations/index.js';
import { batchNormNodes } from '../folding.js';
import type { ConvolutionGeometry } from '../layers/convolution.js';
import { type AffineLayer, featuresOf, type Window } from '../layers/layer.js';
import type { Normalization } from '../layers/normalize.js';
import { INPUT, type Network, parameterName } from '../network.js';

const OPSET = 17;
const IR_VERSION = 8;

export interface OnnxExportOptions {
  /** Radius that the network was trained for, in pixels of [0, 1]. */
  readonly epsilon?: number;
  readonly dataset?: string;
  /** Text for people, the model's doc string. */
  readonly description?: string;
  /** Further entries of the file's metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A value of the model in the making: its name and extents per image, [C, H, W] or [features]. */
interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

const sameExtents = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((extent, i) => extent === b[i]);

/**
 * The bytes of an ONNX model of the network.
 * @throws RangeError if a parameter is missing or has another size than its layer's, or for a layer that has
 *  no ONNX form
 */
export function exportOnnx(
  net: Network,
  parameters: Readonly<Record<string, Float32Array>>,
  options: OnnxExportOptions = {},
): Uint8Array {
  if (batchNormNodes(net).length > 0)
    throw new RangeError(
      `ONNX export of ${net.name}: expected a network without batch normalisation, got one with it; fold ` +
        'it with statistics first (foldedNetwork)',
    );
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const constant = (name: string, data: OnnxTensor['data'], shape: readonly number[]): string => {
    if (!initializers.some((known) => known.name === name)) initializers.push({ name, data, shape });
    return name;
  };
  const emit = (
    opType: string,
    inputs: readonly string[],
    output: Value,
    attributes: Record<string, OnnxAttribute> = {},
  ): Value => {
    nodes.push({ opType, name: output.name, inputs, outputs: [output.name], attributes });
    return output;
  };
  const parameter = (
    node: number,
    { name, shape }: AffineLayer['parameters'][number],
    as: readonly number[] = shape,
  ): string => {
    const full = parameterName(node, name);
    const data = parameters[full];
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (data?.length !== size)
      throw new RangeError(
        `ONNX export of ${net.name}: expected parameter ${full} of ${size} values, got ` +
          `${data ? `${data.length} values` : 'none'}`,
      );
    return constant(full, data, as);
  };
  /** The value under other extents of the same number of features. */
  const shaped = (value: Value, shape: readonly number[]): Value => {
    if (sameExtents(value.shape, shape)) return value;
    const reshaped = { name: `${value.name}_${shape.join('x')}`, shape };
    if (nodes.some(({ name }) => name === reshaped.name)) return reshaped;
    if (shape.length === 1) return emit('Flatten', [value.name], reshaped, { axis: { int: 1 } });
    const target = constant(`shape_${shape.join('x')}`, BigInt64Array.from([-1, ...shape], BigInt), [
      shape.length + 1,
    ]);
    return emit('Reshape', [value.name, target], reshaped);
  };

  const affine = (layer: AffineLayer, node: number, x: Value, name: string): Value => {
    const [weight, bias] = layer.parameters;
    if (layer.name === 'normalize') {
      const { mean, std } = (layer as AffineLayer & { normalization: Normalization }).normalization;
      const from = shaped(x, layer.input);
      const shape = [1, layer.input[0], 1, 1];
      const centred = emit('Sub', [from.name, constant(`${node}.mean`, Float32Array.from(mean), shape)], {
        name: `${name}_centred`,
        shape: from.shape,
      });
      return emit('Div', [centred.name, constant(`${node}.std`, Float32Array.from(std), shape)], {
        name,
        shape: from.shape,
      });
    }
    if (weight !== undefined && bias !== undefined) {
      if (layer.name === 'convolution') {
        const { kernel, stride, padding } = layer.window as Window;
        const attributes = {
          kernel_shape: { ints: kernel },
          strides: { ints: stride },
          pads: { ints: padsOf(layer, padding) },
        };
        const names = [shaped(x, layer.input).name, parameter(node, weight), parameter(node, bias)];
        return emit('Conv', names, { name, shape: layer.output }, attributes);
      }
      if (layer.name === 'linear') {
        const names = [
          shaped(x, [featuresOf(layer.input)]).name,
          parameter(node, weight),
          parameter(node, bias),
        ];
        return emit('Gemm', names, { name, shape: [featuresOf(layer.output)] }, { transB: { int: 1 } });
      }
      if (layer.name === 'scale') {
        const shape = [1, ...x.shape];
        const scaled = emit('Mul', [x.name, parameter(node, weight, shape)], {
          name: `${name}_scaled`,
          shape: x.shape,
        });
        return emit('Add', [scaled.name, parameter(node, bias, shape)], { name, shape: x.shape });
      }
    }
    throw new RangeError(
      `ONNX export of ${net.name}: expected layers normalize, convolution, linear, scale, relu or join, ` +
        `got ${layer.name} at node ${node}`,
    );
  };

  const input: Value = { name: 'input', shape: net.input };
  const values: Value[] = [];
  net.nodes.forEach(({ layer, inputs }, node) => {
    const from = inputs.map((k) => (k === INPUT ? input : (values[k] as Value)));
    const first = from[0] as Value;
    const name = `${layer.name}_${node}`;
    if (layer.kind === 'relu') values.push(emit('Relu', [first.name], { name, shape: first.shape }));
    else if (layer.kind === 'activation')
      values.push(emit(activationFunctions[layer.function].onnx, [first.name], { name, shape: first.shape }));
    else if (layer.kind === 'affine') values.push(affine(layer, node, first, name));
    else {
      const sum = from
        .map((value) => shaped(value, first.shape))
        .reduce((a, b, k) => {
          const partial = k === from.length - 1 ? name : `${name}_${k}`;
          return emit('Add', [a.name, b.name], { name: partial, shape: first.shape });
        });
      values.push(sum);
    }
  });
  const last = shaped(values.at(-1) as Value, [net.classes]);
  nodes.push({
    opType: 'Identity',
    name: 'logits',
    inputs: [last.name],
    outputs: ['logits'],
    attributes: {},
  });

  const { epsilon, dataset, description = '', metadata = {} } = options;
  return encodeOnnx({
    irVersion: IR_VERSION,
    opset: OPSET,
    producer: 'tautnet',
    description,
    metadata: {
      architecture: net.name,
      ...(epsilon !== undefined && { epsilon: String(epsilon) }),
      ...(dataset !== undefined && { dataset }),
      ...metadata,
    },
    name: net.name,
    inputs: [{ name: 'input', type: 'FLOAT', shape: ['batch', ...net.input] }],
    outputs: [{ name: 'logits', type: 'FLOAT', shape: ['batch', net.classes] }],
    nodes,
    initializers,
  });
}

/**
 * [top, left, bottom, right]; the layer keeps only the first two, the others are the least that give its
 * output's extents.
 */
function padsOf(
  { input, output, window }: AffineLayer,
  [top, left]: Window['padding'],
): NonNullable<ConvolutionGeometry['padding']> {
  const { kernel, stride } = window as Window;
  const after = (axis: 0 | 1, before: number) =>
    Math.max(
      0,
      ((output[axis + 1] as number) - 1) * stride[axis] + kernel[axis] - (input[axis + 1] as number) - before,
    );
  return [top, left, after(0, top), after(1, left)];
}
