/**
 * The test of a device before it is trusted: a loss and its gradient that come out as on the CPU, and
 * products to measure it by.
 */
import {
  abs,
  addAll,
  gemm,
  gradient,
  input,
  logSumExp,
  mul,
  relu,
  takeRows,
  total,
} from '../../graph/index.js';
import type { Device } from '../device/device.js';
import { createExecutor } from '../execution/executor.js';
import { createPlan } from '../plan/compile.js';
import { fillNormals, keyOf } from '../random/keys.js';

/** Greatest difference of a self-test's value from the CPU's, relative to 1 + the greatest of them. */
export const TOLERANCE = 1e-4;

const drawn = (size: number, seed: number): Float32Array => {
  const numbers = new Float32Array(size);
  fillNormals(keyOf(seed), numbers);
  return numbers;
};

/**
 * log Σ exp over a sum of rows chosen from relu(W·x), some twice: each kind of operator that programs have,
 * there and back.
 */
async function smallLoss(device: Device): Promise<Float32Array> {
  const [w, x, rows] = [input('w', [7, 5]), input('x', [5, 4]), input('rows', [6], 'int32')];
  const chosen = takeRows(relu(gemm(w, x)), rows);
  const loss = total(logSumExp(addAll([chosen, mul(chosen, chosen), abs(chosen)]), [0]));
  const [dw, dx] = gradient(loss, [w, x]);
  const plan = createPlan([{ kind: 'whole', outputs: { loss, dw: dw as typeof w, dx: dx as typeof x } }]);
  const executor = createExecutor({ device });
  try {
    const { outputs } = await executor.run(plan, {
      w: drawn(35, 1),
      x: drawn(20, 2),
      rows: Int32Array.of(0, 6, 3, 3, 1, 5),
    });
    return Float32Array.from(Object.values(outputs).flatMap((values) => [...values]));
  } finally {
    await executor.close();
  }
}

/**
 * Greatest difference between what the device and the CPU compute, relative to 1 + the greatest value; NaN
 * where one gives no number. @throws DeviceError
 */
export async function differenceFromCpu(device: Device): Promise<number> {
  const [expected, got] = [await smallLoss('cpu'), await smallLoss(device)];
  const size = 1 + expected.reduce((greatest, value) => Math.max(greatest, Math.abs(value)), 0);
  return got.reduce(
    (worst, value, i) => Math.max(worst, Math.abs(value - (expected[i] as number)) / size),
    0,
  );
}

/** Products of a chain: with so many, sending the matrices weighs little. */
const PRODUCTS = 8;
/** Extents of the matrices, one after another until a chain takes long enough to be measured. */
const EXTENTS = [64, 256, 512, 1024] as const;
const LONG_ENOUGH_MS = 100;

/**
 * 10⁹ multiply-adds a second on one thread, from a chain of float32 matrix products; the first call, which
 * compiles, is not counted.
 */
export async function speedOf(device: Device): Promise<number> {
  let speed = 0;
  for (const n of EXTENTS) {
    const [a, b] = [input('a', [n, n]), input('b', [n, n])];
    const product = Array.from({ length: PRODUCTS }).reduce((y: typeof a) => gemm(a, y), b);
    const plan = createPlan([{ kind: 'whole', outputs: { y: total(product) } }]);
    const executor = createExecutor({ device });
    try {
      // Factors of size 1/n keep powers from overflowing.
      const feeds = { a: new Float32Array(n * n).fill(1 / n), b: drawn(n * n, 3) };
      await executor.run(plan, feeds);
      const start = performance.now();
      await executor.run(plan, feeds);
      const milliseconds = performance.now() - start;
      speed = (PRODUCTS * n ** 3) / milliseconds / 1e6;
      if (milliseconds > LONG_ENOUGH_MS) break;
    } finally {
      await executor.close();
    }
  }
  return speed;
}
