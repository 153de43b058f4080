/**
 * The door to the row kernel (`native/`), where it was built: bounds of single neurons by back-substitution,
 * value and derivative. Without it, plans do the same with programs of ONNX Runtime.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { checkArrays, checkGradients, type Floats } from './arrays.js';
import type { EncodedChain } from './row-chain.js';

interface Addon {
  rows(
    chain: Int32Array,
    arrays: readonly Floats[],
    rows: Int32Array,
    lower: Floats,
    upper: Floats,
    gradients: readonly (Floats | undefined)[],
  ): void;
  losses(
    chain: Int32Array,
    rows: readonly Int32Array[],
    arrays: readonly Floats[],
    labels: Int32Array,
    sums: Float64Array,
  ): void;
  propagate(
    chain: Int32Array,
    arrays: readonly Floats[],
    gradients: readonly (Floats | undefined)[],
    stored: Floats | undefined,
  ): void;
  margins(
    chain: Int32Array,
    arrays: readonly Floats[],
    margins: Floats,
    gradients: readonly (Floats | undefined)[],
    steps?: Floats,
    thresholds?: Floats,
    rule?: Float64Array,
    arrived?: readonly (Floats | undefined)[],
  ): void;
  instructionSet(wanted?: string): string;
}

/**
 * In the environment: `ort` leaves the kernel's work to ONNX Runtime, `native` refuses to run without the
 * kernel. Unset or empty, the kernel is used where it was built.
 */
const SWITCH = 'TAUTNET_ROWS';

let loaded: Addon | null | undefined;

/** The native code: kernels for rows, margins, intervals and losses; undefined where it was not built. */
export function addon(): Addon | undefined {
  if (loaded === undefined) {
    try {
      // The same path from src/ and from dist/.
      const path = fileURLToPath(new URL('../../../dist/native/rows.node', import.meta.url));
      loaded = createRequire(import.meta.url)(path) as Addon;
    } catch {
      loaded = null;
    }
  }
  return loaded ?? undefined;
}

/** Whether rows run in the kernel. @throws Error in one line for a TAUTNET_ROWS that cannot be */
export function hasRowKernel(): boolean {
  const wanted = process.env[SWITCH] ?? '';
  if (wanted === 'ort') return false;
  if (wanted !== '' && wanted !== 'native')
    throw new Error(`${SWITCH}: expected ort or native, got "${wanted}"; unset it to use what is there`);
  const is = addon() !== undefined;
  if (wanted === 'native' && !is)
    throw new Error(
      `${SWITCH}=native: expected the row kernel, it was not built; run npm run build with g++ installed, ` +
        `or unset ${SWITCH}`,
    );
  return is;
}

/** What computes rows on the CPU: `native` with the kernel's instruction set, or `ort`. */
export const rowsComputedBy = (): string => (hasRowKernel() ? `native, ${addon()?.instructionSet()}` : 'ort');

/** Chooses an instruction set that this processor has: `baseline`, `AVX2` or `AVX-512`; the one in use. */
export const useInstructionSet = (name: string): string | undefined => addon()?.instructionSet(name);

export interface KernelRows {
  readonly chain: EncodedChain;
  /** By position; α, λ, μ, centre and radius are [batch, features]. */
  readonly arrays: readonly Floats[];
  /** feature · batch + image of each row. */
  readonly rows: Int32Array;
}

function check({ chain, arrays, rows }: KernelRows, lower: Floats, upper: Floats): void {
  const { ints, sizes } = chain;
  checkArrays('row', sizes, arrays, lower);
  if (lower.length !== rows.length || upper.length !== rows.length || upper.constructor !== lower.constructor)
    throw new RangeError(
      `row kernel: expected ${rows.length} lower and upper bounds, got ${lower.length} and ${upper.length}`,
    );
  const neurons = (ints[0] as number) * (ints[1] as number) * (ints[2] as number) * (ints[3] as number);
  for (const row of rows)
    if (row < 0 || row >= neurons)
      throw new RangeError(`row kernel: expected rows of 0 to ${neurons - 1}, got ${row}`);
}

/** Lower and upper bounds [rows], into `lower` and `upper`. */
export function kernelBounds(work: KernelRows, lower: Floats, upper: Floats): void {
  check(work, lower, upper);
  if (work.rows.length > 0)
    (addon() as Addon).rows(work.chain.ints, work.arrays, work.rows, lower, upper, []);
}

/**
 * Adds to `gradients`, by the arrays' positions, the derivative of Σ lower · lower bound + upper · upper
 * bound. Where there is none, nothing is computed; α has no derivative.
 */
export function kernelGradients(
  work: KernelRows,
  lower: Floats,
  upper: Floats,
  gradients: readonly (Floats | undefined)[],
): void {
  check(work, lower, upper);
  checkGradients('row', work.arrays, gradients);
  if (work.rows.length > 0)
    (addon() as Addon).rows(work.chain.ints, work.arrays, work.rows, lower, upper, gradients);
}
