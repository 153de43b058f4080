/** Conv and ConvTranspose with constant weights, over one or two dimensions. */
import { append, sizeOf } from './draft.js';
import {
  activation,
  type Call,
  checkExtents,
  floats,
  integer,
  integers,
  type OperatorReader,
  refuse,
} from './operator.js';
import {
  autoPad,
  givenPads,
  imageExtents,
  LARGEST_TABLE,
  placement,
  reachOf,
  type SpatialWindow,
  spatialWindow,
  splitPads,
} from './spatial.js';

const ATTRIBUTES = ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides'] as const;

/** What both read: the input's extents, the weights and the window. */
function operands(call: Call) {
  const x = activation(call);
  const { shape, values } = floats(call, 1);
  const [first, second, ...kernel] = shape as [number, number, ...number[]];
  const rank = x.shape.length - 1;
  const input = imageExtents(call, x.shape);
  if (kernel.length !== rank)
    refuse(
      call,
      `weights with ${rank} kernel extents`,
      `an input [batch,${x.shape.join(',')}] and weights [${shape.join(',')}]`,
    );
  const kernelShape = integers(call, 'kernel_shape', kernel);
  const groups = integer(call, 'group', 1);
  if (!Number.isSafeInteger(groups) || groups < 1) refuse(call, 'group ≥ 1', `${groups}`);
  if (kernelShape.some((k, i) => k !== kernel[i]) || values.length === 0)
    refuse(call, `weights […,${kernelShape.join(',')}]`, `[${shape.join(',')}]`);
  return {
    x,
    rank,
    input,
    groups,
    window: spatialWindow(call, kernel),
    extents: [first, second] as const,
    shape,
    weight: values,
  };
}

function checkTable(call: Call, inputs: number, { kernel }: SpatialWindow, places: readonly number[]): void {
  const table = inputs * sizeOf(kernel) * sizeOf(places);
  if (table > LARGEST_TABLE)
    refuse(call, `a convolution of at most ${LARGEST_TABLE} (input, tap, output) triples`, `${table}`);
}

/** Input 2, one bias per channel, or zeros where it is left out. */
function biasOf(call: Call, channels: number): Float64Array {
  if (call.inputs[2] === undefined) return new Float64Array(channels);
  const { shape, values } = floats(call, 2);
  if (shape.length !== 1 || values.length !== channels)
    refuse(call, `a bias of ${channels} values`, `[${shape.join(',')}]`);
  return values;
}

const convolution: OperatorReader = {
  attributes: ATTRIBUTES,
  read(call) {
    const { x, rank, input, groups, window, extents, shape, weight } = operands(call);
    const [channels, inputs] = extents;
    if (inputs * groups !== input[0] || channels % groups !== 0)
      refuse(
        call,
        `weights [out,${input[0] / groups},…] in ${groups} groups`,
        `[${shape.join(',')}] for an input [batch,${x.shape.join(',')}]`,
      );
    const { padding, places } = placement(call, [input[1], input[2]], rank, window);
    checkExtents(call, [channels, ...places]);
    checkTable(call, input[0], window, places);
    const output = [channels, ...places] as [number, number, number];
    const geometry = { ...window, channels, groups, padding };
    const node = {
      kind: 'convolution',
      inputs: [x.node],
      input,
      output,
      geometry,
      weight,
      bias: biasOf(call, channels),
    } as const;
    return append(call.draft, node, [channels, ...places.slice(2 - rank)]);
  },
};

const transposedConvolution: OperatorReader = {
  attributes: [...ATTRIBUTES, 'output_padding', 'output_shape'],
  read(call) {
    const { x, rank, input, groups, window, extents, shape, weight } = operands(call);
    const [inputs, each] = extents;
    if (inputs !== input[0] || inputs % groups !== 0)
      refuse(
        call,
        `weights [${input[0]},out,…] in ${groups} groups`,
        `[${shape.join(',')}] for an input [batch,${x.shape.join(',')}]`,
      );
    const zeros = new Array<number>(rank).fill(0);
    const more = integers(call, 'output_padding', zeros);
    if (more.some((p) => !Number.isSafeInteger(p) || p < 0 || p > LARGEST_TABLE))
      refuse(call, 'output_padding ≥ 0', `[${more.join(',')}]`);
    const outputPadding = [rank === 1 ? 0 : more[0], more.at(-1)] as [number, number];
    /** Extents without padding. */
    const full = ([0, 1] as const).map(
      (axis) =>
        ((input[axis + 1] as number) - 1) * window.stride[axis] + reachOf(window, axis) + outputPadding[axis],
    );
    const mode = autoPad(call, window);
    const wanted = 'output_shape' in call.node.attributes ? integers(call, 'output_shape', zeros) : undefined;
    const target = wanted
      ? [rank === 1 ? 1 : (wanted[0] as number), wanted.at(-1) as number]
      : mode === 'SAME_UPPER' || mode === 'SAME_LOWER'
        ? [input[1] * window.stride[0], input[2] * window.stride[1]]
        : undefined;
    const total = target?.map((extent, axis) => (full[axis] as number) - (extent as number)) as
      | [number, number]
      | undefined;
    if (total?.some((t) => t < 0))
      refuse(
        call,
        `an output_shape of at most [${full.slice(2 - rank).join(',')}]`,
        `[${target?.slice(2 - rank).join(',')}]`,
      );
    const padding = total
      ? splitPads(total, mode !== 'SAME_UPPER')
      : mode === 'VALID'
        ? ([0, 0, 0, 0] as const)
        : givenPads(call, rank);
    const places = full.map(
      (extent, axis) => extent - (padding[axis] as number) - (padding[axis + 2] as number),
    );
    const channels = each * groups;
    checkExtents(call, [channels, ...places]);
    checkTable(call, channels, window, [input[1], input[2]]);
    const output = [channels, ...places] as [number, number, number];
    const geometry = { ...window, channels, groups, padding, outputPadding };
    const node = {
      kind: 'transposed',
      inputs: [x.node],
      input,
      output,
      geometry,
      weight,
      bias: biasOf(call, channels),
    } as const;
    return append(call.draft, node, [channels, ...places.slice(2 - rank)]);
  },
};

export const convolutionOperators: Readonly<Record<string, OperatorReader>> = {
  Conv: convolution,
  ConvTranspose: transposedConvolution,
};
