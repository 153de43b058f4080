import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeOnnx } from '../../formats/onnx.js';
import { type Built, integers, model, op, random } from '../../testing/onnx-models.js';
import { runOnnx } from '../../testing/onnx-runs.js';
import { type ModelSizes, openModel } from './model.js';

const bytesOf = (built: Built) => encodeOnnx(model(built));
const product = (more: Partial<Built> = {}): Built => ({
  input: ['batch', 6],
  nodes: [op('MatMul', ['x', 'w'], 'y')],
  constants: [random('w', [6, 4], { double: more.double ?? false })],
  ...more,
});
const sizes: ModelSizes = { inputs: 6, outputs: 4 };

async function outputsOf(bytes: Uint8Array, x: ArrayLike<number>, of: ModelSizes = sizes): Promise<number[]> {
  const opened = await openModel(bytes, of, 'm.onnx');
  try {
    return Array.from(await opened.run(x));
  } finally {
    await opened.close();
  }
}

describe('a model', () => {
  test('gives what ONNX Runtime gives, plain or gzip-compressed, with a symbolic batch or none or a fixed one', async () => {
    const built = product();
    const input = fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 6, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        input,
        fc.constantFrom(['batch', 6], [1, 6], [3, 6]),
        fc.boolean(),
        async (x, shape, compressed) => {
          const bytes = bytesOf({ ...built, input: shape });
          const expected = await runOnnx(bytesOf(built), Float32Array.from(x), 1, [6]);
          expect(await outputsOf(compressed ? gzipSync(bytes) : bytes, x)).toEqual(expected);
        },
      ),
      { numRuns: 10 },
    );
    const vector = {
      ...built,
      input: [6],
      nodes: [op('Reshape', ['x', 'r'], 'rows'), op('MatMul', ['rows', 'w'], 'y')],
    };
    const x = [1, 2, 3, 4, 5, 6];
    expect(
      await outputsOf(
        bytesOf({ ...vector, constants: [...(built.constants ?? []), integers('r', [1, 6])] }),
        x,
      ),
    ).toEqual(await outputsOf(bytesOf(built), x));
  });

  test('in float64 computes in float64', async () => {
    const x = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
    const built = product({ double: true });
    const w = built.constants?.[0]?.data as Float64Array;
    const expected = [0, 1, 2, 3].map((j) => x.reduce((sum, v, i) => sum + v * (w[4 * i + j] as number), 0));
    (await outputsOf(bytesOf(built), x)).forEach((y, j) => {
      expect(y).toBeCloseTo(expected[j] as number, 14);
    });
  });

  test.each([
    [
      'bytes that are no model',
      new Uint8Array([1, 2, 3]),
      sizes,
      'expected a model that ONNX Runtime can run, it says: ',
    ],
    ['a cut gzip file', gzipSync(bytesOf(product())).subarray(0, 40), sizes, 'expected a whole gzip file'],
    [
      'an operator that does not exist',
      bytesOf(product({ nodes: [op('Nonsense', ['x'], 'y')] })),
      sizes,
      'expected a model that ONNX Runtime can run',
    ],
    [
      'another number of inputs',
      bytesOf(product()),
      { inputs: 5, outputs: 4 },
      'expected an input of 5 values, got batch×6',
    ],
    [
      'another number of outputs',
      bytesOf(product()),
      { inputs: 6, outputs: 3 },
      'expected an output of 3 values, got 4 (1×4)',
    ],
  ])('of %s is refused in one line', async (_, bytes, of, message) => {
    const error = await openModel(bytes, of, 'm.onnx').catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({
      name: 'FormatError',
      message: expect.stringContaining(`m.onnx: ${message}`),
    });
    expect((error as Error).message).not.toContain('\n');
  });
});
