/** Files that mean harm, or were damaged: each ends soon, as one FormatError or as a network. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../formats/format-error.js';
import { encodeOnnx, type OnnxAttribute, type OnnxNode } from '../../formats/onnx.js';
import { type Built, batchNorm, integers, model, norm, op, random } from '../../testing/onnx-models.js';
import { importOnnx } from './import.js';

const ints = (...values: number[]): OnnxAttribute => ({ ints: values });
const read = (built: Built) => importOnnx(encodeOnnx(model(built)), 'file.onnx').network;

/** A chain of `count` nodes from x to y. */
const chained = (count: number, node: (from: string, to: string, k: number) => OnnxNode[]): OnnxNode[] =>
  Array.from({ length: count }, (_, k) =>
    node(k === 0 ? 'x' : `v${k}`, k === count - 1 ? 'y' : `v${k + 1}`, k),
  ).flat();

describe('a small file that would take much is refused', () => {
  it('for a pool of everything', () => {
    const built = {
      input: ['N', 1, 2048, 2048],
      nodes: [op('MaxPool', ['x'], 'y', { kernel_shape: ints(1024, 1024) })],
    };
    expect(() => read(built)).toThrow(
      /MaxPool \(node the y\): expected a pool of at most 67108864 \(output, tap\) pairs/,
    );
  });

  it('for nodes by the million', () => {
    const nodes = chained(150_000, (from, to) => [op('Relu', [from], to)]);
    expect(() => read({ input: ['N', 7], nodes })).toThrow(
      /more nodes, names and attributes than any network has/,
    );
  });
});

describe('a long file is read', () => {
  it('of twenty thousand layers, and of sums that double sixty times', () => {
    expect(
      read({ input: ['N', 7], nodes: chained(20_000, (from, to) => [op('Relu', [from], to)]) }).nodes,
    ).toHaveLength(20_000);
    expect(
      read({ input: ['N', 7], nodes: chained(60, (from, to) => [op('Add', [from, from], to)]) }).nodes,
    ).toHaveLength(60);
  });

  it('but not one that reads itself, however long the way round', () => {
    const nodes = chained(5000, (from, to) => [op('Relu', [from], to)]);
    const first = { ...(nodes[0] as OnnxNode), opType: 'Add', inputs: ['x', 'v4999'] };
    expect(() => read({ input: ['N', 7], nodes: [first, ...nodes.slice(1)] })).toThrow(/without cycles/);
    expect(() => read({ input: ['N', 7], nodes: [op('Add', ['x', 'y'], 'y')] })).toThrow(/without cycles/);
  });
});

describe('damage', () => {
  const conv = random('cw', [3, 2, 3, 2]);
  const image = ['N', 2, 6, 5] as const;
  const whole: readonly Uint8Array[] = [
    {
      input: image,
      nodes: [
        op('Conv', ['x', 'cw'], 'c'),
        batchNorm('c', 'n'),
        op('MaxPool', ['n'], 'p', { kernel_shape: ints(2, 2) }),
        op('Tanh', ['p'], 'y'),
      ],
      constants: [conv, ...norm(3)],
    },
    {
      input: ['N', 7],
      nodes: [
        op('Gemm', ['x', 'w'], 'h'),
        op('Clip', ['h', 'a', 'b'], 'c'),
        op('LeakyRelu', ['c'], 'y', { alpha: { float: 0.1 } }),
      ],
      constants: [
        random('w', [7, 4]),
        { name: 'a', shape: [], data: Float32Array.of(-1) },
        { name: 'b', shape: [], data: Float32Array.of(1) },
      ],
    },
    {
      input: image,
      nodes: [
        op('Transpose', ['x'], 't', { perm: ints(0, 2, 3, 1) }),
        op('Reshape', ['t', 's'], 'r'),
        op('Slice', ['r', 'from', 'to', 'axes'], 'y'),
      ],
      constants: [integers('s', [0, -1]), integers('from', [1]), integers('to', [9]), integers('axes', [1])],
    },
  ].map((built) => encodeOnnx(model(built)));
  const survives = (bytes: Uint8Array): void => {
    try {
      importOnnx(bytes, 'file.onnx');
    } catch (error) {
      expect(error, (error as Error).stack).toBeInstanceOf(FormatError);
      expect((error as Error).message).toMatch(/^file\.onnx: [^\n]+$/);
    }
  };

  it('by flipped bits, changed bytes, cuts and pieces of other files', () => {
    const which = fc.nat({ max: whole.length - 1 });
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 }), fc.boolean()), { maxLength: 5 });
    fc.assert(
      fc.property(
        which,
        which,
        changes,
        fc.nat(),
        fc.nat(),
        fc.nat(),
        fc.constantFrom('whole', 'cut', 'spliced'),
        (first, second, places, from, to, at, how) => {
          const bytes = Uint8Array.from(whole[first] as Uint8Array);
          for (const [place, value, flip] of places) {
            const k = place % bytes.length;
            bytes[k] = flip ? (bytes[k] as number) ^ (1 << (value % 8)) : value;
          }
          const other = whole[second] as Uint8Array;
          const piece = other.subarray(Math.min(from, to) % other.length, Math.max(from, to) % other.length);
          const middle = at % bytes.length;
          survives(
            how === 'whole'
              ? bytes
              : how === 'cut'
                ? bytes.subarray(0, middle)
                : Buffer.concat([bytes.subarray(0, middle), piece, bytes.subarray(middle)]),
          );
        },
      ),
      { numRuns: 1500 },
    );
  });
});
