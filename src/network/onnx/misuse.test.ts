import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../formats/format-error.js';
import { encodeOnnx, type OnnxAttribute, type OnnxNode, type OnnxTensor } from '../../formats/onnx.js';
import { model } from '../../testing/onnx-models.js';
import { importedOperators, importOnnx } from './import.js';

const shapes = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.array(fc.nat({ max: 5 }), { maxLength: 4 }) },
);
const sized = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const small = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 2, arbitrary: fc.integer({ min: -3, max: 7 }) },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 31 - 1, -(2 ** 31), 2 ** 40, -2_000_000_011) },
);
/** Constants k0, k1, k2: numbers or integers of any shape. */
const constants: fc.Arbitrary<OnnxTensor[]> = fc
  .array(fc.tuple(shapes, fc.constantFrom('float', 'double', 'int', 'bytes'), small), {
    minLength: 3,
    maxLength: 3,
  })
  .map((list) =>
    list.map(([shape, type, first], k): OnnxTensor => {
      const values = Array.from({ length: sized(shape) }, (_, i) => first + i);
      const data =
        type === 'float'
          ? Float32Array.from(values)
          : type === 'double'
            ? Float64Array.from(values)
            : type === 'int'
              ? BigInt64Array.from(values, BigInt)
              : Uint8Array.from(values, (v) => v & 1);
      return { name: `k${k}`, shape, data };
    }),
  );
const lists = fc.array(small, { maxLength: 6 });
const attribute: fc.Arbitrary<OnnxAttribute> = fc.oneof(
  small.map((int) => ({ int })),
  lists.map((ints) => ({ ints })),
  fc.float().map((float) => ({ float })),
  fc
    .constantFrom('SAME_UPPER', 'SAME_LOWER', 'VALID', 'reflect', 'edge', 'wrap', '?')
    .map((string) => ({ string })),
);
const attributeNames =
  'alpha allowzero auto_pad axes axis beta ceil_mode count_include_pad dilations end ends epsilon group keepdims kernel_shape max min mode num_outputs output_padding output_shape pads perm shape split start starts storage_order strides to transA transB value';
const nodes: fc.Arbitrary<OnnxNode[]> = fc
  .array(
    fc.record({
      opType: fc.constantFrom(...importedOperators),
      inputs: fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 3 }),
      attributes: fc.oneof(
        { weight: 3, arbitrary: fc.constant({}) },
        {
          weight: 2,
          arbitrary: fc.dictionary(fc.constantFrom(...attributeNames.split(' ')), attribute, { maxKeys: 2 }),
        },
      ),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((list) =>
    list.map(({ opType, inputs, attributes }, k): OnnxNode => {
      // Mostly the value before, sometimes the input, a constant, or nothing.
      const before = k === 0 ? 'x' : `v${k - 1}`;
      const names = inputs.map((i, place) =>
        place === 0 && i < 7 ? before : ([before, 'x', 'k0', 'k1', 'k2', '', 'k1', 'k2'][i] as string),
      );
      return {
        opType,
        name: '',
        inputs: names,
        outputs: [k === list.length - 1 ? 'y' : `v${k}`],
        attributes,
      };
    }),
  );

describe('an operator used in any way', () => {
  it('ends as a network or as a FormatError of one line', () => {
    let [read, refused] = [0, 0];
    fc.assert(
      fc.property(
        nodes,
        constants,
        shapes,
        fc.constantFrom('N', 1, 3),
        (graph, initializers, shape, batch) => {
          const bytes = encodeOnnx(
            model({ input: [batch, ...shape], nodes: graph, constants: initializers }),
          );
          try {
            importOnnx(bytes, 'file.onnx');
            read++;
          } catch (error) {
            expect(error, String((error as Error).stack)).toBeInstanceOf(FormatError);
            expect((error as Error).message).toMatch(/^file\.onnx: [^\n]+$/);
            refused++;
          }
        },
      ),
      { numRuns: 1000 },
    );
    expect(Math.min(read, refused)).toBeGreaterThan(20);
  });
});
