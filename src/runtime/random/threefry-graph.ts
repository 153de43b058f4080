/**
 * Threefry-2x32-20 as graph operators: `fillBits` on the device, bit for bit, so that a perturbation is sent
 * as the eight bytes of its key.
 *
 * 32-bit words are added, multiplied and divided as uint32, where every provider wraps around: x · 2ʳ shifts
 * to the left, x / 2ʳ to the right. Providers without `BitwiseXor` get it from tables (`graph/lowering`).
 */
import { apply, type Emitter, fail, type Operator, type Tensor } from '../../graph/tensor.js';
import { type Key, PARITY, ROTATIONS, threefry } from './threefry.js';

/** ONNX's numbers for element types. */
const INT32 = 6;
const UINT32 = 12;

interface ThreefryAttributes {
  readonly start: number;
  readonly count: number;
}
const attributesOf = (node: Tensor): ThreefryAttributes => node.attributes as unknown as ThreefryAttributes;

/**
 * The blocks of two words that hold the words start … start + count − 1, and how many of their words come
 * before those.
 */
function blocksOf({ start, count }: ThreefryAttributes): { first: number; blocks: number; before: number } {
  const before = start % 2;
  return { first: (start - before) / 2, blocks: Math.ceil((before + count) / 2), before };
}

/** Operations on uint32 values by name. */
function words(emit: Emitter) {
  const cast = (x: string, to: number) => emit.node('Cast', [x], { to: { int: to } });
  const constant = (value: number) => cast(emit.constant(Int32Array.of(value | 0), []), UINT32);
  const binary = (opType: string) => (a: string, b: string) => emit.node(opType, [a, b]);
  const [add, mul, div] = [binary('Add'), binary('Mul'), binary('Div')] as const;
  return {
    cast,
    constant,
    add,
    xor: binary('BitwiseXor'),
    rotate: (x: string, by: number) => add(mul(x, constant(2 ** by)), div(x, constant(2 ** (32 - by)))),
  };
}

const threefryOperator: Operator = {
  name: 'Threefry',
  infer(inputs, attributes) {
    const [keys, block] = inputs as [Tensor, Tensor | undefined];
    const { start, count } = attributes as unknown as ThreefryAttributes;
    if (keys.dtype !== 'int32' || keys.shape.length !== 2 || keys.shape[1] !== 2)
      fail('Threefry', 'keys [members,2] int32', inputs);
    if (block !== undefined && (block.dtype !== 'int32' || `${block.shape}` !== '1'))
      fail('Threefry', 'the number of a block, [1] int32', inputs);
    if (
      !Number.isInteger(start) ||
      !Number.isInteger(count) ||
      start < 0 ||
      count < 1 ||
      start + count > 2 ** 33
    )
      fail('Threefry', `words within 0 … 2³³ (got ${count} from ${start}; use another key for more)`, inputs);
    return { shape: [keys.shape[0] as number, count], dtype: 'int32' };
  },
  encode(node, [keys, block], emit) {
    const { cast, constant, add, xor, rotate } = words(emit);
    const { first, blocks, before } = blocksOf(attributesOf(node));
    const [members, count] = node.shape as [number, number];
    const integers = (...values: number[]) => emit.constant(values.map(BigInt), [values.length]);
    const range = (start: number, end: number) =>
      emit.node(
        'Range',
        [start, end, 1].map((value) => emit.constant(Int32Array.of(value), [])),
      );
    // WebGPU gathers integers, but slices floats only.
    const columns = (x: string, at: string) => emit.node('Gather', [x, at], { axis: { int: 1 } });

    const [k0, k1] = [0, 1].map((i) =>
      cast(columns(keys as string, emit.constant(Int32Array.of(i), [1])), UINT32),
    ) as [string, string];
    const k = [k0, k1, xor(xor(k0, k1), constant(PARITY))] as const;
    const from = block === undefined ? constant(first) : add(cast(block, UINT32), constant(first));
    // The counter is (block, 0); [members, 1] and [blocks] meet in the first addition.
    let x0 = add(cast(range(0, blocks), UINT32), add(k0, from));
    let x1: string = k1;
    for (let round = 0; round < 20; round++) {
      x0 = add(x0, x1);
      x1 = xor(rotate(x1, ROTATIONS[round % 8] as number), x0);
      if (round % 4 === 3) {
        const s = (round + 1) / 4;
        x0 = add(x0, k[s % 3] as string);
        x1 = add(x1, add(k[(s + 1) % 3] as string, constant(s)));
      }
    }
    const pairs = emit.node(
      'Concat',
      [x0, x1].map((x) => emit.node('Reshape', [x, integers(members, blocks, 1)])),
      { axis: { int: 2 } },
    );
    const all = cast(emit.node('Reshape', [pairs, integers(members, 2 * blocks)]), INT32);
    return count === 2 * blocks ? all : columns(all, range(before, before + count));
  },
  gradient: (node) => node.inputs.map(() => undefined),
  evaluate(node, [keys, block]) {
    const { start } = attributesOf(node);
    const [members, count] = node.shape as [number, number];
    const out = new Float64Array(members * count);
    for (let m = 0; m < members; m++) {
      const key: Key = [keys?.[2 * m] as number, keys?.[2 * m + 1] as number];
      for (let i = 0; i < count; i++) {
        const word = start + i;
        out[m * count + i] =
          (threefry(key, Math.floor(word / 2) + (block?.[0] ?? 0), 0)[word % 2] as number) | 0;
      }
    }
    return out;
  },
};

/** Keys as programs take them: int32 [members, 2], eight bytes for each member. */
export const keyWords = (keys: readonly Key[]): Int32Array => Int32Array.from(keys.flat());

/**
 * The words 2 · block + start + i, i < count, of each key's stream, as int32 [members, count]: what
 * `fillBits` makes, to the bit. `keys` is int32 [members, 2]; `block`, int32 [1] read as unsigned, is a place
 * that is known only when the program runs, 0 if not given.
 */
export const wordsOf = (keys: Tensor, count: number, start = 0, block?: Tensor): Tensor =>
  apply(threefryOperator, block === undefined ? [keys] : [keys, block], { start, count });
