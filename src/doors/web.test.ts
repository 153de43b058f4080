import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { bounds } from '../library/bounds.js';
import { architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { keyOf } from '../runtime/random/keys.js';
import { uniformNumbers } from '../testing/numbers.js';
import { ROOT } from '../testing/tautnet-process.js';
import { certify } from '../verification/certification/cascade.js';

const BUNDLE = join(ROOT, 'dist', 'web', 'index.js');
let web: typeof import('./web.js');
beforeAll(async () => {
  web = await import(pathToFileURL(BUNDLE).href);
  const runtime = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'));
  const { buffer } = Uint8Array.from(await readFile(join(runtime, 'ort-wasm-simd-threaded.wasm')));
  web.useWasm(buffer);
});

const NETWORKS = ['fc-small', 'cnn3-narrow'] as const;
const RELAXATIONS = [
  'ibp',
  'hbox',
  'deepz',
  'crown-ibp',
  'crown',
  'nested-crown-ibp',
  'alpha-crown',
] as const;

describe('tautnet/web', () => {
  test('has the bounds of ONNX Runtime in Node: within 4e-6 in float32, within 1e-12 in float64', async () => {
    const cases = fc.record({
      name: fc.constantFrom(...NETWORKS),
      relaxation: fc.constantFrom(...RELAXATIONS),
      seed: fc.nat(99),
      epsilon: fc.constantFrom(0, 1 / 255, 0.05, 0.3),
      dtype: fc.constantFrom('float32' as const, 'float64' as const),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ name, relaxation, seed, epsilon, dtype }) => {
        const net = architecture(name, [1, 10, 10], 4);
        const parameters = initialize(net, 'kaiming', keyOf(seed));
        const x = uniformNumbers(`image ${seed}`, 100);
        const box = { lower: x.map((v) => Math.max(0, v - epsilon)), upper: x.map((v) => v + epsilon) };
        const here = await bounds(net, parameters, box, relaxation, { dtype });
        const own = web.architecture(name, [1, 10, 10], 4);
        const there = await web.bounds(own, parameters, box, relaxation, { dtype });
        const most = dtype === 'float64' ? 1e-12 : 4e-6;
        for (const end of ['lower', 'upper'] as const)
          here[end].forEach((bound, k) => {
            const off = Math.abs((there[end][k] as number) - bound) / (1 + Math.abs(bound));
            expect(off).toBeLessThan(most);
          });
      }),
      { numRuns: 30 },
    );
  });

  test('decides by branch and bound what it decides in Node, without linear programs', async () => {
    const shape = [1, 5, 5] as const;
    const net = architecture('fc-small', shape, 3);
    const own = web.architecture('fc-small', shape, 3);
    const parameters = initialize(net, 'kaiming', keyOf(6));
    const count = 12;
    const images = Uint8Array.from(
      uniformNumbers('grey', 25 * count),
      (value) => 32 + Math.floor(192 * value),
    );
    const split = { images, labels: Uint8Array.from({ length: count }, (_, i) => i % 3), count };
    const options = { parameters, split, epsilon: 0.05, complete: { secondsPerImage: 30 } };
    const here = await certify({ ...options, network: net, threads: 1 });
    const there = await web.certifySplit({ ...options, network: own });
    const told = ({ verdicts }: typeof here) => verdicts.map(({ image, verdict }) => [image, verdict]);
    expect(told(there)).toEqual(told(here));
    expect(there.verdicts.some(({ stage }) => stage === 'branch-and-bound')).toBe(true);
  });

  test('says in one line what a browser does not have', async () => {
    const net = web.architecture('fc-small', [1, 2, 2], 3);
    const parameters = web.initialize(net, 'kaiming', web.keyOf(0));
    const box = { lower: [0, 0, 0, 0], upper: [1, 1, 1, 1] };
    await expect(web.bounds(net, parameters, box, 'lp')).rejects.toThrow(
      /^[^\n]*expected a relaxation without a solver in a browser; choose crown or alpha-crown[^\n]*$/,
    );
  });

  test('asks for nothing of Node', async () => {
    const imports = (await readFile(BUNDLE, 'utf8')).match(/from\s*["'][^"']+["']/g);
    expect(imports).toEqual(['from"onnxruntime-web/wasm"']);
  });
});

describe('a variant for browsers', () => {
  test('has the values of the file that it stands for, and no other', async () => {
    const files = await readdir(join(ROOT, 'dist'), { recursive: true });
    const variants = files.filter((name) => name.endsWith('.browser.js'));
    expect(variants.length).toBeGreaterThan(5);
    const namesOf = async (name: string) =>
      Object.keys(await import(pathToFileURL(join(ROOT, 'dist', name)).href)).sort();
    for (const name of variants)
      expect([name, await namesOf(name)]).toEqual([name, await namesOf(name.replace('.browser.js', '.js'))]);
  });
});
