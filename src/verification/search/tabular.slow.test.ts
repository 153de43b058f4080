/**
 * Networks whose normalisation lies off by thousands of deviations: the default mode, with bounds in float32,
 * proves nothing that ONNX Runtime refutes.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { encodeOnnx } from '../../formats/onnx.js';
import { featuresOf } from '../../network/layers/layer.js';
import { importOnnx } from '../../network/onnx/import.js';
import { openModel } from '../../runtime/execution/model.js';
import { createPool } from '../../runtime/pool/pool.js';
import { onnxOracle } from '../../testing/onnx-oracle.js';
import { leastReached } from '../../testing/reached-outputs.js';
import { type TabularFile, tabularFiles } from '../../testing/tabular-files.js';
import { verify } from './verify.js';

const SEEDS = 7;
const SECONDS = 5;
const files = tabularFiles(SEEDS);
const pool = createPool(1);
afterAll(() => pool.close());

/** The least y that ONNX Runtime gives at float32 inputs of the box, near the real function's minimum. */
async function leastByRuntime({ model, lower, upper, name }: TabularFile) {
  const bytes = encodeOnnx(model);
  const read = importOnnx(bytes);
  const sizes = { inputs: featuresOf(read.network.input), outputs: 1 };
  const file = await openModel(bytes, sizes, name);
  const oracle = onnxOracle(model);
  const { x, value } = leastReached((at) => oracle(at).values[0] as number, { lower, upper }, { seed: name });
  const y = (await file.run(x.map(Math.fround)))[0] as number;
  return { ...read, file, y, real: value, x };
}

const counts = { sat: 0, unsat: 0, open: 0 };
describe('networks behind a normalisation by 10³ and 10⁴ deviations', () => {
  test(`are ${6 * SEEDS}`, () => expect(files).toHaveLength(42));

  test.each(files.map((file) => [file.name, file] as const))('%s', async (_, of) => {
    const { network, parameters, exact, double, file, y, real } = await leastByRuntime(of);
    const box = { lower: of.lower, upper: of.upper };
    const verdictAt = async (bound: number) => {
      const unsafe = [{ outputs: Float64Array.of(1), bound }];
      const property = { inputs: of.lower.length, outputs: 1, polytopes: [{ box, unsafe }] };
      const evaluate = (at: Float32Array) => file.run(at);
      const problem = { network, parameters, exact, double, property, evaluate, pool };
      const { verdict } = await verify({ ...problem, timeoutSeconds: SECONDS });
      counts[verdict === 'sat' || verdict === 'unsat' ? verdict : 'open']++;
      return verdict;
    };
    try {
      // Reached by ONNX Runtime, and by the real numbers.
      expect(await verdictAt(y)).not.toBe('unsat');
      expect(await verdictAt(real)).not.toBe('unsat');
      // Below what is reached by more than any rounding.
      expect(await verdictAt(Math.min(y, real) - 0.2)).not.toBe('sat');
    } finally {
      await file.close();
    }
  });

  test('are decided for the most part', () => {
    console.info(`tabular: ${JSON.stringify(counts)} of ${3 * files.length} properties`);
    expect(counts.sat + counts.unsat).toBeGreaterThan(files.length);
  });
});
