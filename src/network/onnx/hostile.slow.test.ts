/**
 * Small ONNX files that would take gigabytes or hours to read: what `onnx/room.ts` refuses, once it has done
 * what it allows.
 */
import { describe, expect, it } from 'vitest';
import { encodeOnnx, type OnnxAttribute, type OnnxNode, type OnnxTensor } from '../../formats/onnx.js';
import { type Built, integers, model, op } from '../../testing/onnx-models.js';
import { importOnnx } from './import.js';

const ints = (...values: number[]): OnnxAttribute => ({ ints: values });
const scalar = (name: string, value: number): OnnxTensor => ({
  name,
  shape: [1],
  data: Float32Array.of(value),
});
const read = (built: Built) => importOnnx(encodeOnnx(model(built)), 'file.onnx').network;

/** A chain of `count` nodes from x to y. */
const chained = (count: number, node: (from: string, to: string, k: number) => OnnxNode[]): OnnxNode[] =>
  Array.from({ length: count }, (_, k) =>
    node(k === 0 ? 'x' : `v${k}`, k === count - 1 ? 'y' : `v${k + 1}`, k),
  ).flat();

const PIXELS = 2 ** 22;

describe('a small file that would take much is refused', () => {
  const refusals: Record<string, [Built, RegExp]> = {
    'for the memory of factors that nothing absorbs': [
      {
        input: ['N', PIXELS],
        nodes: chained(1000, (from, to, k) => [op('Relu', [from], `r${k}`), op('Mul', [`r${k}`, 'c'], to)]),
        constants: [scalar('c', 2)],
      },
      /expected a file of 1 numbers to be read by making at most 67108880/,
    ],
    'for the time of factors that are absorbed': [
      { input: ['N', PIXELS], nodes: chained(1000, (from, to) => [op('Neg', [from], to)]) },
      /Neg \(node the v\d+\): expected a file of 0 numbers to be read by making at most 67108864/,
    ],
    'for constants that it computes': [
      {
        input: ['N', 7],
        nodes: [
          ...Array.from({ length: 50 }, (_, k) => op('ConstantOfShape', ['n'], `c${k}`)),
          op('Sum', ['x', ...Array.from({ length: 50 }, (_, k) => `c${k}`)], 'y'),
        ],
        constants: [integers('n', [2 ** 22])],
      },
      /ConstantOfShape \(node the c\d+\): expected a file of 1 numbers to (need|be read by making) at most/,
    ],
    'for views of views': [
      {
        input: ['N', 2 ** 11, 2 ** 11],
        nodes: chained(1000, (from, to) => [op('Transpose', [from], to, { perm: ints(0, 2, 1) })]),
      },
      /Transpose \(node the \w+\): expected a file of 0 numbers to/,
    ],
  };
  for (const [name, [built, message]] of Object.entries(refusals))
    it(name, () => {
      expect(() => read(built)).toThrow(message);
    });
});
