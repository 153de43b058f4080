import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exportOnnx } from '../network/onnx/export.js';
import { createPool } from '../runtime/pool/pool.js';
import { recordedIo } from '../testing/io.js';
import { propertyCases, safe, unsafe } from '../testing/property-cases.js';
import { denseNetwork, expectTrue } from '../testing/searches.js';
import { declarations } from '../testing/vnnlib-text.js';
import type { Inequality, Polytope } from '../verification/property/property.js';
import { verify } from '../verification/search/verify.js';
import { run } from './program.js';
import { makeVerifyCommand } from './verify.js';

const pool = createPool(1);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-agreement-'));
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const terms = (name: string, coefficients: Float64Array | undefined): string[] =>
  Array.from(coefficients ?? [], (c, i) => `(* ${c} ${name}_${i})`);
const row = ({ outputs, inputs, bound }: Inequality): string =>
  `(<= (+ ${[...terms('Y', outputs), ...terms('X', inputs)].join(' ')}) ${bound})`;
const conjunction = ({ box, unsafe: rows }: Polytope): string => {
  const ends = Array.from(box.lower, (low, i) => `(>= X_${i} ${low}) (<= X_${i} ${box.upper[i]})`);
  return `(and ${[...ends, ...rows.map(row)].join(' ')})`;
};
/** Polytopes as VNN-LIB text: a disjunction, each with its own box. */
const vnnlib = (inputs: number, outputs: number, polytopes: readonly Polytope[]): string =>
  `${declarations(inputs, outputs)}(assert (or ${polytopes.map(conjunction).join('\n')}))\n`;

it.each([denseNetwork(2, 6, 2), denseNetwork(3, 5, 5, 3)])(
  '$name: files get the verdicts that the library gives',
  async (network) => {
    const inputs = network.input[0];
    for (const rows of [1, 2])
      for (const of of await propertyCases(network, 60 * rows, 3, { rows, mixed: true, epsilon: 0.2 })) {
        const { parameters } = of;
        await writeFile(join(folder, 'net.onnx'), exportOnnx(network, parameters));
        for (const [expected, polytopes] of [
          ['unsat', [safe(of, 0.05), safe(of, 0.2)]],
          ['sat', [safe(of, 0.2), unsafe(of, 0.05)]],
        ] as const) {
          const library = await verify({
            network,
            parameters,
            property: { inputs, outputs: network.classes, polytopes },
            pool,
            timeoutSeconds: 60,
          });
          await writeFile(join(folder, 'property.vnnlib'), vnnlib(inputs, network.classes, polytopes));
          const { io, stdout } = recordedIo();
          const argv = [
            'verify',
            join(folder, 'net.onnx'),
            join(folder, 'property.vnnlib'),
            '--json',
            '--threads',
            '1',
            '--timeout',
            '60',
          ];
          const code = await run(argv, [makeVerifyCommand], io);
          const printed = JSON.parse(stdout()) as {
            verdict: string;
            counterexample?: { input: number[]; output: number[]; polytope: number };
          };
          expect([library.verdict, printed.verdict, code]).toEqual([
            expected,
            expected,
            expected === 'sat' ? 1 : 0,
          ]);
          const { counterexample } = printed;
          if (counterexample) {
            const [input, output] = [
              Float64Array.from(counterexample.input),
              Float64Array.from(counterexample.output),
            ];
            expectTrue({ input, output, polytope: counterexample.polytope }, polytopes);
          }
        }
      }
  },
  240_000,
);
