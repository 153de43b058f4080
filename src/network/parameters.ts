/**
 * All trained arrays of a network as one flat vector θ, and as a safetensors file.
 *
 * Smoothing perturbs θ and update rules move it, coordinate by coordinate; programs want it by name. Both
 * look at the same memory.
 */
import { FormatError } from '../formats/format-error.js';
import { decodeSafetensors, encodeSafetensors, type SafetensorsArray } from '../formats/safetensors.js';
import { sameShape, sizeOf } from '../graph/index.js';
import { type Network, parameterName } from './network.js';

/** Where one trained array lies in θ. */
export interface ParameterSlot {
  /** As in `parameterName`: "<node>.weight". */
  readonly name: string;
  readonly shape: readonly number[];
  /** First coordinate in θ. */
  readonly offset: number;
  /** Number of coordinates: the product of the shape. */
  readonly size: number;
  /** Inputs that one output sums over. */
  readonly fanIn: number;
}

/** Trained arrays by name, each row-major in its shape. */
export type ParameterArrays = Readonly<Record<string, Float32Array>>;

/** The order of θ: nodes as in the network, and of each the weight before the bias. */
export function parameterLayout({ nodes }: Network): ParameterSlot[] {
  let offset = 0;
  return nodes.flatMap(({ layer }, node) =>
    layer.parameters.map(({ name, shape, fanIn }) => {
      const slot: ParameterSlot = {
        name: parameterName(node, name),
        shape,
        offset,
        size: sizeOf(shape),
        fanIn,
      };
      offset += slot.size;
      return slot;
    }),
  );
}

/** Coordinates of θ. */
export const parameterCount = (layout: readonly Pick<ParameterSlot, 'size'>[]): number =>
  layout.reduce((count, { size }) => count + size, 0);

/**
 * θ from named arrays; a copy.
 * @throws RangeError if an array is missing, unknown or of another size
 */
export function flatten(arrays: ParameterArrays, layout: readonly ParameterSlot[]): Float32Array {
  checkNames('parameters', Object.keys(arrays), layout, (message) => new RangeError(message));
  const flat = new Float32Array(parameterCount(layout));
  for (const { name, size, shape, offset } of layout) {
    const array = arrays[name] as Float32Array;
    if (array.length !== size)
      throw new RangeError(
        `parameters: expected ${size} values of ${name} for shape [${shape.join(',')}], got ${array.length}`,
      );
    flat.set(array, offset);
  }
  return flat;
}

/**
 * The named arrays inside θ, without a copy: writing to one writes to θ.
 * @throws RangeError if θ has another length than the layout
 */
export function views(flat: Float32Array, layout: readonly ParameterSlot[]): Record<string, Float32Array> {
  const count = parameterCount(layout);
  if (flat.length !== count)
    throw new RangeError(`parameters: expected ${count} coordinates, got ${flat.length}`);
  return Object.fromEntries(
    layout.map(({ name, offset, size }) => [name, flat.subarray(offset, offset + size)]),
  );
}

/**
 * A safetensors file of the named arrays, with the network's name as metadata.
 * @throws RangeError as `flatten`
 */
export function encodeParameters(net: Network, arrays: ParameterArrays): Uint8Array {
  const layout = parameterLayout(net);
  const inOrder = views(flatten(arrays, layout), layout);
  const tensors = layout.map(({ name, shape }): [string, SafetensorsArray] => [
    name,
    { dtype: 'float32', shape, data: inOrder[name] as Float32Array },
  ]);
  return encodeSafetensors(Object.fromEntries(tensors), { network: net.name });
}

/**
 * The arrays of `net` from a safetensors file: every one of them and nothing else, in float32.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError if a name is missing or unknown, or a shape or type is not the network's
 */
export function decodeParameters(
  net: Network,
  bytes: Uint8Array,
  source = 'parameters',
): Record<string, Float32Array> {
  const { tensors } = decodeSafetensors(bytes, source);
  const layout = parameterLayout(net);
  const network = `the network ${net.name}`;
  checkNames(
    `${source}, for ${network}`,
    Object.keys(tensors),
    layout,
    (message) => new FormatError(message),
  );
  const arrays = layout.map(({ name, shape }): [string, Float32Array] => {
    const found = tensors[name] as SafetensorsArray;
    if (found.dtype !== 'float32' || !sameShape(found.shape, shape))
      throw new FormatError(
        `${source}: expected ${name} of ${network} to be float32 [${shape.join(',')}], got ` +
          `${found.dtype} [${found.shape.join(',')}]; was it trained with another architecture?`,
      );
    return [name, found.data];
  });
  return Object.fromEntries(arrays);
}

function checkNames(
  source: string,
  got: readonly string[],
  layout: readonly ParameterSlot[],
  error: (message: string) => Error,
): void {
  const expected = new Set(layout.map(({ name }) => name));
  const missing = [...expected].filter((name) => !got.includes(name));
  const extra = got.filter((name) => !expected.has(name));
  if (missing.length === 0 && extra.length === 0) return;
  const list = (names: readonly string[]) => (names.length === 0 ? 'none' : names.join(', '));
  throw error(
    `${source}: expected the ${expected.size} arrays of the network, got ${got.length}; missing: ` +
      `${list(missing)}; unknown: ${list(extra)}`,
  );
}
