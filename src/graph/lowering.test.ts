import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeOnnx } from '../formats/onnx.js';
import { openSession } from '../runtime/session.js';
import { normalNumbers } from '../testing/numbers.js';
import { addAll, type EncodedProgram, encodeProgram, exp, input, mul } from './index.js';
import { withoutSums } from './lowering.js';

const operators = ({ bytes }: EncodedProgram): string[] => decodeOnnx(bytes).nodes.map(({ opType }) => opType);

async function valuesOf(program: EncodedProgram, terms: readonly Float32Array[]): Promise<Float32Array> {
  const session = await openSession(program);
  try {
    const made = await session.run(Object.fromEntries(program.inputs.map(({ name }) => [name, terms[Number(name.slice(1))] as Float32Array])));
    return Float32Array.from([...(made.y as Float32Array), ...(made.z as Float32Array)]);
  } finally {
    await session.close();
  }
}

describe('a program without variadic sums', () => {
  it('computes the same bits: sums of many terms, sums of sums, sums that are outputs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 3, max: 9 }), fc.integer({ min: 1, max: 40 }), fc.nat(), async (count, size, seed) => {
        const inputs = Array.from({ length: count }, (_, i) => input(`x${i}`, [size]));
        const inner = addAll(inputs);
        const program = encodeProgram({ y: inner, z: addAll([exp(mul(inner, 0.1)), ...inputs]) });
        const terms = inputs.map((_, i) => Float32Array.from(normalNumbers(`term ${i} of ${seed}`, size)));
        const rewritten = withoutSums(program);
        expect(operators(program)).toContain('Sum');
        expect(operators(rewritten)).not.toContain('Sum');
        expect(await valuesOf(rewritten, terms)).toEqual(await valuesOf(program, terms));
      }),
      { numRuns: 10 },
    );
  });

  it('is the program itself where it has none', () => {
    const program = encodeProgram({ y: exp(input('x', [3])) });
    expect(withoutSums(program)).toBe(program);
  });
});
