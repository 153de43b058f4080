/** Conv, Gemm and MatMul with constant weights. */
import type { OnnxAttribute } from '../../formats/onnx.js';
import { INPUT } from '../network.js';
import { type Activation, append, type DraftNode, sizeOf } from './draft.js';
import { activation, type Call, checkExtents, floats, integer, integers, type OperatorReader, real, refuse } from './operator.js';

/** Most entries of a convolution's table of (input, tap, output) triples: 256 MiB of int32. */
const LARGEST_TABLE = 2 ** 26;

/** [top, left, bottom, right] of what `auto_pad` and `pads` say. */
function padding(call: Call, extents: readonly number[], kernel: readonly number[], strides: readonly number[]): [number, number, number, number] {
  const attribute: OnnxAttribute = call.node.attributes.auto_pad ?? { string: 'NOTSET' };
  const mode = 'string' in attribute ? attribute.string : 'no text';
  if (mode === 'NOTSET') return [...integers(call, 'pads', [0, 0, 0, 0])] as [number, number, number, number];
  if (mode === 'VALID') return [0, 0, 0, 0];
  if (mode !== 'SAME_UPPER' && mode !== 'SAME_LOWER') refuse(call, 'auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER', mode);
  const total = [0, 1].map((axis) => {
    const [extent, stride] = [extents[axis] as number, strides[axis] as number];
    return Math.max(0, (Math.ceil(extent / stride) - 1) * stride + (kernel[axis] as number) - extent);
  }) as [number, number];
  const less = total.map((t) => Math.floor(t / 2)) as [number, number];
  const more = total.map((t) => Math.ceil(t / 2)) as [number, number];
  return mode === 'SAME_UPPER' ? [less[0], less[1], more[0], more[1]] : [more[0], more[1], less[0], less[1]];
}

const convolution: OperatorReader = {
  attributes: ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides'],
  read(call) {
    const x = activation(call);
    const { shape, values } = floats(call, 1);
    const [channels, inputs, ...kernel] = shape as [number, number, ...number[]];
    if (shape.length !== 4 || x.shape.length !== 3)
      refuse(call, 'a two-dimensional convolution of [batch,C,H,W]', `an input [batch,${x.shape.join(',')}] and weights [${shape.join(',')}]`);
    if (integer(call, 'group', 1) !== 1) refuse(call, 'group 1', `${integer(call, 'group', 1)}`);
    const dilations = integers(call, 'dilations', [1, 1]);
    if (dilations.some((d) => d !== 1)) refuse(call, 'dilations [1,1]', `[${dilations.join(',')}]`);
    const kernelShape = integers(call, 'kernel_shape', kernel);
    if (inputs !== x.shape[0] || kernelShape.some((k, i) => k !== kernel[i]) || values.length === 0)
      refuse(call, `weights [out,${x.shape[0]},${kernelShape.join(',')}]`, `[${shape.join(',')}]`);
    const strides = integers(call, 'strides', [1, 1]);
    if (strides.some((s) => !Number.isSafeInteger(s) || s < 1)) refuse(call, 'strides ≥ 1', `[${strides.join(',')}]`);
    const extents = x.shape.slice(1);
    const pads = padding(call, extents, kernel, strides);
    if (pads.some((p) => !Number.isSafeInteger(p) || p < 0 || p > LARGEST_TABLE)) refuse(call, 'pads ≥ 0', `[${pads.join(',')}]`);
    const places = [0, 1].map((axis) => {
      const [extent, size, stride] = [extents[axis], kernel[axis], strides[axis]] as [number, number, number];
      return Math.floor((extent + (pads[axis] as number) + (pads[axis + 2] as number) - size) / stride) + 1;
    });
    const output = [channels, ...places] as [number, number, number];
    checkExtents(call, output);
    const table = inputs * sizeOf(kernel) * sizeOf(places);
    if (table > LARGEST_TABLE) refuse(call, `a convolution of at most ${LARGEST_TABLE} (input, tap, output) triples`, `${table}`);
    const geometry = { channels, kernel: kernel as [number, number], stride: strides as [number, number], padding: pads };
    const bias = biasOf(call, channels);
    return append(call.draft, { kind: 'convolution', inputs: [x.node], input: x.shape as typeof output, output, geometry, weight: values, bias }, output);
  },
};

/** Input 2 as one bias per output, or zeros where it is left out. */
function biasOf(call: Call, outputs: number, beta = 1): Float64Array {
  if (call.inputs[2] === undefined) return new Float64Array(outputs);
  const { shape, values } = floats(call, 2);
  const along = shape.at(-1) ?? 1;
  if (values.length !== along || (along !== outputs && along !== 1) || (call.node.opType === 'Conv' && along !== outputs))
    refuse(call, `a bias of ${outputs} values`, `[${shape.join(',')}]`);
  return Float64Array.from({ length: outputs }, (_, i) => beta * (values[along === 1 ? 0 : i] as number));
}

/** W of [out, in] from a matrix stored so or transposed, times a factor. */
function orient(values: Float64Array, [rows, columns]: readonly number[], transpose: boolean, factor = 1): Float64Array {
  const [m, n] = [rows as number, columns as number];
  if (!transpose) return factor === 1 ? values : values.map((w) => factor * w);
  const out = new Float64Array(values.length);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) out[j * m + i] = factor * (values[i * n + j] as number);
  return out;
}

function linear(call: Call, x: Activation, weight: Float64Array, bias: Float64Array, shape: readonly number[]): Activation {
  checkExtents(call, shape);
  if (weight.length === 0) refuse(call, 'weights', 'an empty matrix');
  // The extents before any flattening: linear layers read an image's features in their order.
  const input = x.node === INPUT ? call.input : (call.draft[x.node] as DraftNode).output;
  return append(call.draft, { kind: 'linear', inputs: [x.node], input, output: [bias.length, 1, 1], weight, bias }, shape);
}

const gemm: OperatorReader = {
  attributes: ['alpha', 'beta', 'transA', 'transB'],
  read(call) {
    const x = activation(call);
    const { shape, values } = floats(call, 1);
    const transposed = integer(call, 'transB', 0) !== 0;
    const [inputs, outputs] = transposed ? [shape[1], shape[0]] : [shape[0], shape[1]];
    if (integer(call, 'transA', 0) !== 0) refuse(call, 'transA 0', `${integer(call, 'transA', 0)}`);
    if (x.shape.length !== 1 || shape.length !== 2 || inputs !== x.shape[0])
      refuse(
        call,
        'x [batch,in] and a matrix with as many inputs',
        `x [batch,${x.shape.join(',')}], matrix [${shape.join(',')}]${transposed ? ' transposed' : ''}`,
      );
    const weight = orient(values, shape, !transposed, real(call, 'alpha', 1));
    return linear(call, x, weight, biasOf(call, outputs as number, real(call, 'beta', 1)), [outputs as number]);
  },
};

const matmul: OperatorReader = {
  attributes: [],
  read(call) {
    const columns = call.inputs[0]?.kind === 'constant'; // W · x with x a column, [batch,in,1]
    const x = activation(call, columns ? 1 : 0);
    const { shape, values } = floats(call, columns ? 0 : 1);
    const [inputs, outputs] = columns ? [shape[1], shape[0]] : [shape[0], shape[1]];
    const axis = x.shape.length - (columns ? 2 : 1);
    const single = x.shape.every((extent, i) => i === axis || extent === 1);
    if (shape.length !== 2 || !single || x.shape[axis] !== inputs)
      refuse(call, 'one vector an image and a matrix with as many inputs', `x [batch,${x.shape.join(',')}], matrix [${shape.join(',')}]`);
    const output = x.shape.map((extent, i) => (i === axis ? (outputs as number) : extent));
    return linear(call, x, orient(values, shape, !columns), new Float64Array(outputs as number), output);
  },
};

export const affineOperators: Readonly<Record<string, OperatorReader>> = { Conv: convolution, Gemm: gemm, MatMul: matmul };
