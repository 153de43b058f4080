import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeOnnx } from '../formats/onnx.js';
import { openSession } from '../runtime/execution/session.js';
import { normalNumbers } from '../testing/numbers.js';
import { GraphBuilder } from './encode.js';
import { addAll, type EncodedProgram, encodeProgram, exp, input, mul } from './index.js';
import { withoutSums, withoutXor } from './lowering.js';

const operators = ({ bytes }: EncodedProgram): string[] =>
  decodeOnnx(bytes).nodes.map(({ opType }) => opType);

async function valuesOf(program: EncodedProgram, terms: readonly Float32Array[]): Promise<Float32Array> {
  const session = await openSession(program);
  try {
    const made = await session.run(
      Object.fromEntries(
        program.inputs.map(({ name }) => [name, terms[Number(name.slice(1))] as Float32Array]),
      ),
    );
    return Float32Array.from([...(made.y as Float32Array), ...(made.z as Float32Array)]);
  } finally {
    await session.close();
  }
}

describe('a program without variadic sums', () => {
  it('computes the same bits: sums of many terms, sums of sums, sums that are outputs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 3, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        async (count, size, seed) => {
          const inputs = Array.from({ length: count }, (_, i) => input(`x${i}`, [size]));
          const inner = addAll(inputs);
          const program = encodeProgram({ y: inner, z: addAll([exp(mul(inner, 0.1)), ...inputs]) });
          const terms = inputs.map((_, i) => Float32Array.from(normalNumbers(`term ${i} of ${seed}`, size)));
          const rewritten = withoutSums(program);
          expect(operators(program)).toContain('Sum');
          expect(operators(rewritten)).not.toContain('Sum');
          expect(await valuesOf(rewritten, terms)).toEqual(await valuesOf(program, terms));
        },
      ),
      { numRuns: 10 },
    );
  });

  it('is the program itself where it has none', () => {
    const program = encodeProgram({ y: exp(input('x', [3])) });
    expect(withoutSums(program)).toBe(program);
  });
});

describe('a program without BitwiseXor', () => {
  /** x ^ y and x ^ y ^ x of int32 words taken as uint32. */
  function xorProgram(size: number): EncodedProgram {
    const builder = new GraphBuilder();
    const [x, y] = ['x', 'y'].map((name) => builder.node('Cast', [name], { to: { int: 12 } })) as [
      string,
      string,
    ];
    const once = builder.node('BitwiseXor', [x, y]);
    builder.node('Cast', [once], { to: { int: 6 } }, 'once');
    builder.node('Cast', [builder.node('BitwiseXor', [once, x])], { to: { int: 6 } }, 'twice');
    const values = (names: readonly string[]) =>
      names.map((name) => ({ name, shape: [size], dtype: 'int32' as const }));
    const onnx = (names: readonly string[]) => names.map((name) => ({ name, type: 'INT32', shape: [size] }));
    const bytes = builder.model(onnx(['x', 'y']), onnx(['once', 'twice']));
    return {
      bytes,
      inputs: values(['x', 'y']),
      outputs: values(['once', 'twice']),
      footprint: { peak: 24 * size, largest: 4 * size },
    };
  }

  it('computes the same words', async () => {
    const size = 1000;
    const program = withoutXor(xorProgram(size));
    expect(operators(program)).not.toContain('BitwiseXor');
    const session = await openSession(program);
    const word = fc.oneof(fc.constantFrom(0, -1, 1, 255, 256, 0x7fffffff, -0x80000000), fc.integer());
    const words = fc.array(word, { minLength: size, maxLength: size });
    await fc.assert(
      fc.asyncProperty(words, words, async (x, y) => {
        const made = await session.run({ x: Int32Array.from(x), y: Int32Array.from(y) });
        expect(Array.from(made.once as Int32Array)).toEqual(x.map((word, i) => word ^ (y[i] as number)));
        expect(Array.from(made.twice as Int32Array)).toEqual(y);
      }),
      { numRuns: 10 },
    );
    await session.close();
  });

  it('is the program itself where it has none', () => {
    const program = encodeProgram({ y: exp(input('x', [3])) });
    expect(withoutXor(program)).toBe(program);
  });
});
