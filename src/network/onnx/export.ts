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
import { type AffineLayer, featuresOf, type Layer, type Window } from '../layers/layer.js';
import type { Normalization } from '../layers/normalize.js';
import { INPUT, type Network, parameterName } from '../network.js';

const OPSET = 17;
const IR_VERSION = 8;

/** What an exported file says about itself. */
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
  return new OnnxWriter(net, parameters).bytes(options);
}

/** A model in the making: its nodes in order, and its initialisers by name. */
class OnnxWriter {
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: OnnxTensor[] = [];

  constructor(
    readonly net: Network,
    readonly parameters: Readonly<Record<string, Float32Array>>,
  ) {}

  bytes({ epsilon, dataset, description = '', metadata = {} }: OnnxExportOptions): Uint8Array {
    const { net } = this;
    this.#write();
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
      nodes: this.#nodes,
      initializers: this.#initializers,
    });
  }

  #write(): void {
    const { net } = this;
    const input: Value = { name: 'input', shape: net.input };
    const values: Value[] = [];
    net.nodes.forEach(({ layer, inputs }, node) => {
      const from = inputs.map((k) => (k === INPUT ? input : (values[k] as Value)));
      values.push(this.#layer(layer, node, from));
    });
    const last = this.#shaped(values.at(-1) as Value, [net.classes]);
    this.#emit('Identity', [last.name], { name: 'logits', shape: last.shape });
  }

  #constant(name: string, data: OnnxTensor['data'], shape: readonly number[]): string {
    if (!this.#initializers.some((known) => known.name === name))
      this.#initializers.push({ name, data, shape });
    return name;
  }

  #emit(
    opType: string,
    inputs: readonly string[],
    output: Value,
    attributes: Record<string, OnnxAttribute> = {},
  ): Value {
    this.#nodes.push({ opType, name: output.name, inputs, outputs: [output.name], attributes });
    return output;
  }

  #parameter(
    node: number,
    { name, shape }: AffineLayer['parameters'][number],
    as: readonly number[] = shape,
  ): string {
    const full = parameterName(node, name);
    const data = this.parameters[full];
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (data?.length !== size)
      throw new RangeError(
        `ONNX export of ${this.net.name}: expected parameter ${full} of ${size} values, got ` +
          `${data ? `${data.length} values` : 'none'}`,
      );
    return this.#constant(full, data, as);
  }

  /** The value under other extents of the same number of features. */
  #shaped(value: Value, shape: readonly number[]): Value {
    if (sameExtents(value.shape, shape)) return value;
    const reshaped = { name: `${value.name}_${shape.join('x')}`, shape };
    if (this.#nodes.some(({ name }) => name === reshaped.name)) return reshaped;
    if (shape.length === 1) return this.#emit('Flatten', [value.name], reshaped, { axis: { int: 1 } });
    const extents = BigInt64Array.from([-1, ...shape], BigInt);
    const target = this.#constant(`shape_${shape.join('x')}`, extents, [shape.length + 1]);
    return this.#emit('Reshape', [value.name, target], reshaped);
  }

  #layer(layer: Layer, node: number, from: readonly Value[]): Value {
    const first = from[0] as Value;
    const name = `${layer.name}_${node}`;
    const { shape } = first;
    if (layer.kind === 'relu') return this.#emit('Relu', [first.name], { name, shape });
    if (layer.kind === 'activation')
      return this.#emit(activationFunctions[layer.function].onnx, [first.name], { name, shape });
    if (layer.kind === 'affine') return this.#affine(layer, node, first, name);
    return from
      .map((value) => this.#shaped(value, shape))
      .reduce((a, b, k) => {
        const partial = k === from.length - 1 ? name : `${name}_${k}`;
        return this.#emit('Add', [a.name, b.name], { name: partial, shape });
      });
  }

  #affine(layer: AffineLayer, node: number, x: Value, name: string): Value {
    const [weight, bias] = layer.parameters;
    if (layer.name === 'normalize') return this.#normalize(layer, node, x, name);
    if (weight !== undefined && bias !== undefined) {
      const names = (shape: readonly number[]) => [
        this.#shaped(x, shape).name,
        this.#parameter(node, weight),
        this.#parameter(node, bias),
      ];
      if (layer.name === 'convolution') return this.#convolution(layer, names(layer.input), name);
      if (layer.name === 'linear') {
        const output = { name, shape: [featuresOf(layer.output)] };
        return this.#emit('Gemm', names([featuresOf(layer.input)]), output, { transB: { int: 1 } });
      }
      if (layer.name === 'scale') {
        const shape = [1, ...x.shape];
        const scaled = { name: `${name}_scaled`, shape: x.shape };
        this.#emit('Mul', [x.name, this.#parameter(node, weight, shape)], scaled);
        const offset = this.#parameter(node, bias, shape);
        return this.#emit('Add', [scaled.name, offset], { name, shape: x.shape });
      }
    }
    throw new RangeError(
      `ONNX export of ${this.net.name}: expected layers normalize, convolution, linear, scale, relu or ` +
        `join, got ${layer.name} at node ${node}`,
    );
  }

  #normalize(layer: AffineLayer, node: number, x: Value, name: string): Value {
    const { mean, std } = (layer as AffineLayer & { normalization: Normalization }).normalization;
    const from = this.#shaped(x, layer.input);
    const shape = [1, layer.input[0], 1, 1];
    const centred = { name: `${name}_centred`, shape: from.shape };
    this.#emit('Sub', [from.name, this.#constant(`${node}.mean`, Float32Array.from(mean), shape)], centred);
    const deviation = this.#constant(`${node}.std`, Float32Array.from(std), shape);
    return this.#emit('Div', [centred.name, deviation], { name, shape: from.shape });
  }

  #convolution(layer: AffineLayer, names: readonly string[], name: string): Value {
    const { kernel, stride, padding } = layer.window as Window;
    return this.#emit(
      'Conv',
      names,
      { name, shape: layer.output },
      {
        kernel_shape: { ints: kernel },
        strides: { ints: stride },
        pads: { ints: padsOf(layer, padding) },
      },
    );
  }
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
