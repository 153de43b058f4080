import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeSafetensors } from '../../formats/safetensors.js';
import { certificateFiles, writeCertificate } from './certificate.js';
import { accuraciesOf, type Verdict } from './verdict.js';

const FEATURES = 3;
const verdict = (image: number): fc.Arbitrary<Verdict> =>
  fc.oneof(
    fc.record({
      image: fc.constant(image),
      label: fc.nat(9),
      verdict: fc.constant('certified' as const),
      stage: fc.constantFrom('ibp', 'crown'),
      margin: fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
    }),
    fc.record({
      image: fc.constant(image),
      label: fc.nat(9),
      verdict: fc.constant('falsified' as const),
      stage: fc.constantFrom('natural', 'attack'),
      margin: fc.float({ max: Math.fround(-0.5), noNaN: true, noDefaultInfinity: true }),
      counterexample: fc.float32Array({
        minLength: FEATURES,
        maxLength: FEATURES,
        min: 0,
        max: 1,
        noNaN: true,
      }),
    }),
    fc.record({
      image: fc.constant(image),
      label: fc.nat(9),
      verdict: fc.constant('undecided' as const),
      stage: fc.constant(null),
      margin: fc.constantFrom(-2, Number.NEGATIVE_INFINITY),
    }),
  ) as fc.Arbitrary<Verdict>;
const someVerdicts = fc
  .nat(12)
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, image) => verdict(image))));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-certificate-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('certificates', () => {
  test('hold every verdict in a line, and every counterexample in the row that its line names', async () => {
    await fc.assert(
      fc.asyncProperty(someVerdicts, async (verdicts) => {
        const files = certificateFiles(join(folder, 'certificate.jsonl'));
        await writeCertificate(files, { verdicts, epsilon: 0.1 }, FEATURES, { dataset: 'mnist' });
        const lines = (await readFile(files.verdicts, 'utf8')).split('\n').slice(0, -1);
        const { tensors, metadata } = decodeSafetensors(await readFile(files.counterexamples));
        expect(metadata).toEqual({ dataset: 'mnist', epsilon: '0.1' });
        expect(lines).toHaveLength(verdicts.length);
        const rows = tensors.counterexamples?.data as Float32Array;
        verdicts.forEach((expected, i) => {
          const { counterexample: row, ...got } = JSON.parse(lines[i] as string) as Record<string, unknown>;
          const { counterexample, ...rest } = { counterexample: undefined, ...expected };
          expect(got).toEqual({ ...rest, margin: Number.isFinite(rest.margin) ? rest.margin : null });
          expect(row === undefined).toBe(expected.verdict !== 'falsified');
          if (row === undefined) return;
          expect(rows.slice((row as number) * FEATURES, ((row as number) + 1) * FEATURES)).toEqual(
            counterexample,
          );
          expect(tensors.images?.data[row as number]).toBe(expected.image);
        });
        expect(tensors.counterexamples?.shape).toEqual([
          verdicts.filter((v) => v.verdict === 'falsified').length,
          FEATURES,
        ]);
      }),
      { numRuns: 30 },
    );
  });

  test.each([
    ['runs/a/certificate.jsonl', 'runs/a/counterexamples.safetensors'],
    ['net.certificate.jsonl', 'net.counterexamples.safetensors'],
    ['/tmp/out.jsonl', '/tmp/out.counterexamples.safetensors'],
    ['out', 'out.counterexamples.safetensors'],
  ])('verdicts in %s have their counterexamples in %s', (verdicts, counterexamples) => {
    expect(certificateFiles(verdicts)).toEqual({ verdicts, counterexamples });
  });

  test('accuracies count verdicts: adversarial = certified + undecided, natural = all but natural errors', () => {
    fc.assert(
      fc.property(someVerdicts, (verdicts) => {
        fc.pre(verdicts.length > 0);
        const { natural, certified, adversarial } = accuraciesOf(verdicts);
        const count = (kind: string) => verdicts.filter((v) => v.verdict === kind).length / verdicts.length;
        expect(certified).toBe(count('certified'));
        expect(adversarial).toBeCloseTo(count('certified') + count('undecided'), 12);
        expect(natural).toBeGreaterThanOrEqual(adversarial);
      }),
    );
  });
});
