/**
 * Whether our proofs contradict what a file's real-number function reaches: the proof stages of `verify`
 * without its attacks, which would end a search before its bounds are tried.
 */
import { encodeOnnx } from '../formats/onnx.js';
import { constant, mul } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { type ImportedNetwork, importOnnx } from '../network/onnx/import.js';
import { exact as exactRelaxation } from '../relaxation/solver/exact.js';
import { openModel } from '../runtime/execution/model.js';
import type { Pool } from '../runtime/pool/pool.js';
import { createContext, type VerificationContext } from '../verification/proof/context.js';
import type { Evaluate } from '../verification/proof/counterexample.js';
import type { Box, Polytope } from '../verification/property/property.js';
import { createCompleteSearch } from '../verification/search/complete-search.js';
import { PropertyAttack } from '../verification/search/property-attack.js';
import { rootBounds } from '../verification/search/root-bounds.js';
import { boundProblem, runStages } from './bound-programs.js';
import { uniformNumbers } from './numbers.js';
import { type Measured, onnxOracle } from './onnx-oracle.js';
import type { BuiltFile } from './random-files.js';
import { leastReached, type Reached } from './reached-outputs.js';

/** Attacks that find nothing. */
class NoAttack extends PropertyAttack {
  override next = async () => undefined;
  override beside = async () => undefined;
}

export interface Contradiction {
  readonly mode: 'default' | 'sound' | 'exact';
  readonly stage: string;
  readonly x: readonly number[];
  readonly coefficients: readonly number[];
  /** What c·y is at x, at most. */
  readonly reached: number;
  readonly proved: string;
}

/** What a file was tried with, and what came out. */
export interface Trial {
  readonly searches: number;
  /** Searches that neither proved nor left the property open for want of time. */
  readonly settled: number;
  readonly contradictions: readonly Contradiction[];
  /** The largest |ORT − real| of an output, in units of the worst case that float32 allows. */
  readonly runtimeError: number;
}

/** What is reached must lie below what is proved by this much to count, beside its size: the oracle's own. */
const ORACLE = 2 ** -45;
/** Tolerance of the linear solver beside the size of the outputs. */
const SOLVER = 1e-6;

const rowValue = (
  coefficients: Float64Array,
  { values, errors }: Measured,
): { value: number; error: number } => {
  let [value, error] = [0, 0];
  coefficients.forEach((c, j) => {
    value += c * (values[j] as number);
    error += Math.abs(c) * ((errors[j] as number) + ORACLE * Math.abs(values[j] as number));
  });
  return { value, error };
};

/** Rows c to be tried: ± the first output, and the difference of the first two. */
function rowsOf(outputs: number, seed: string): Float64Array[] {
  const row = (make: (j: number) => number) => Float64Array.from({ length: outputs }, (_, j) => make(j));
  const sign = (uniformNumbers(seed, 1)[0] as number) < 0.5 ? 1 : -1;
  return [
    row((j) => (j === 0 ? sign : 0)),
    outputs > 1 ? row((j) => (j === 0 ? 1 : j === 1 ? -1 : 0)) : row((j) => (j === 0 ? -sign : 0)),
  ];
}

/** Boxes around what is reached, in shares of the whole: on small ones nothing but rounding decides. */
const SHARES = [1, 2 ** -6, 2 ** -14, 0];

/** The part of a box around x that is this share of it. */
function partAround({ lower, upper }: Box, x: Float64Array, share: number): Box {
  const half = lower.map((low, i) => (share * ((upper[i] as number) - low)) / 2);
  return {
    lower: lower.map((low, i) => Math.max(low, (x[i] as number) - (half[i] as number))),
    upper: upper.map((high, i) => Math.min(high, (x[i] as number) + (half[i] as number))),
  };
}

/** Tries to prove that the file does not reach what it does reach. */
export async function tryReached(
  { model, lower, upper }: BuiltFile,
  pool: Pool,
  { seed, seconds }: { readonly seed: string; readonly seconds: number },
): Promise<Trial> {
  const bytes = encodeOnnx(model);
  const read = importOnnx(bytes, 'file', { distinct: true });
  const sizes = { inputs: featuresOf(read.network.input), outputs: read.network.classes };
  const oracle = onnxOracle(model);
  // ONNX Runtime has no float64 kernels of some operators.
  const file = await openModel(bytes, sizes).catch((error: unknown) => {
    if (!read.double) throw error;
    return undefined;
  });
  const prover = new Prover(read, pool, async (at) => oracle(at).values, seconds);
  let runtimeError = 0;
  try {
    for (const [r, coefficients] of rowsOf(sizes.outputs, seed).entries()) {
      let [box, at]: [Box, string] = [{ lower, upper }, `${seed} ${r}`];
      let best: Reached | undefined;
      for (const share of SHARES) {
        if (best !== undefined) box = partAround({ lower, upper }, best.x, share);
        at += ` ${share}`;
        const next = leastReached((x) => rowValue(coefficients, oracle(x)).value, box, { seed: at });
        best = best === undefined || next.value < best.value ? next : best;
        const { value, error } = rowValue(coefficients, oracle(best.x));
        if (!Number.isFinite(value) || !Number.isFinite(error)) break;
        if (file)
          runtimeError = Math.max(runtimeError, await errorOfRuntime(oracle, file, best.x, read.double));
        await prover.tryOn(box, { x: best.x, coefficients, reached: value + error }, share);
      }
    }
  } finally {
    await file?.close();
  }
  return { ...prover.counts, contradictions: prover.contradictions, runtimeError };
}

/** A row c, and an input x at which c·y is at most `reached`. */
interface Target {
  readonly x: Float64Array;
  readonly coefficients: Float64Array;
  readonly reached: number;
}

/** All modes of proof on one file. */
class Prover {
  readonly contradictions: Contradiction[] = [];
  readonly counts = { searches: 0, settled: 0 };
  readonly #modes: readonly { readonly context: VerificationContext; readonly sound: boolean }[];

  constructor(
    readonly read: ImportedNetwork,
    pool: Pool,
    evaluate: Evaluate,
    readonly seconds: number,
  ) {
    const { network, parameters, exact, double } = read;
    this.#modes = (double ? [true] : [false, true]).map((sound) => ({
      sound,
      context: createContext({ network, parameters, exact, pool, evaluate }),
    }));
  }

  /** Tries all of them on a property that does not hold. */
  async tryOn(box: Box, target: Target, share: number): Promise<void> {
    const polytope: Polytope = { box, unsafe: [{ outputs: target.coefficients, bound: target.reached }] };
    for (const { context, sound } of this.#modes) await this.#prove(context, sound, polytope, target);
    if (share < 1) return;
    const least = await exactLeast(this.read, box, target.coefficients);
    if (least !== undefined && least > target.reached + SOLVER * (1 + Math.abs(target.reached)))
      this.#wrong('exact', 'exact', target, `at least ${least}`);
  }

  async #prove(
    context: VerificationContext,
    sound: boolean,
    polytope: Polytope,
    target: Target,
  ): Promise<void> {
    const mode = sound ? 'sound' : 'default';
    for (const stage of sound ? [] : (['ibp', 'crown'] as const)) {
      const [found] = (await rootBounds({ ...context, over: () => false }, stage, [polytope])) ?? [];
      if (found?.proved) this.#wrong(mode, stage, target, `${found.lower} above 0`);
    }
    const nowhere = {
      ...polytope,
      unsafe: [{ outputs: target.coefficients, bound: Number.NEGATIVE_INFINITY }],
    };
    const { verdict, stage, lowerBound, reason } = await createCompleteSearch(context, sound)([polytope], {
      targets: [nowhere],
      deadline: performance.now() + 1000 * this.seconds,
      attack: new NoAttack(context),
    });
    this.counts.searches++;
    if (reason !== 'time') this.counts.settled++;
    if (verdict === 'proved') this.#wrong(mode, stage, target, `${lowerBound} above 0`);
  }

  #wrong(mode: Contradiction['mode'], stage: string, { x, coefficients, reached }: Target, proved: string) {
    this.contradictions.push({
      mode,
      stage,
      x: Array.from(x),
      coefficients: Array.from(coefficients),
      reached,
      proved,
    });
  }
}

/** |ORT(x) − real(x)| beside the worst case of one evaluation; 0 where ORT overflows. */
async function errorOfRuntime(
  oracle: ReturnType<typeof onnxOracle>,
  file: { run(x: Float64Array): Promise<ArrayLike<number>> },
  x: Float64Array,
  double: boolean,
): Promise<number> {
  const at = double ? x : x.map(Math.fround);
  const y = await file.run(at);
  const { values, errors } = oracle(at, double ? 2 ** -53 : 2 ** -24);
  return values.reduce((most, value, j) => {
    const got = y[j] as number;
    if (!Number.isFinite(got)) return most;
    return Math.max(most, Math.abs(got - value) / (2 * (errors[j] as number) + 1e-30));
  }, 0);
}

/** Unstable neurons that the exact relaxation is asked to go through. */
const FEW_NEURONS = 8;

/** The least of c·y by the relaxation `exact` in float64; undefined for networks that it does not know. */
async function exactLeast(
  { network, parameters, exact }: ImportedNetwork,
  { lower, upper }: { readonly lower: Float64Array; readonly upper: Float64Array },
  coefficients: Float64Array,
): Promise<number | undefined> {
  const relus = network.nodes.reduce(
    (sum, { layer }) => sum + (layer.kind === 'relu' ? featuresOf(layer.output) : 0),
    0,
  );
  if (relus > FEW_NEURONS || network.nodes.some(({ layer }) => layer.kind === 'activation')) return undefined;

  const problem = {
    ...boundProblem(network, 1),
    specification: {
      kind: 'rows',
      coefficients: constant(coefficients, [network.classes, 1, 1], 'float64'),
    },
  } as const;
  const { stages, margins } = exactRelaxation.bound(problem);
  const given = Object.fromEntries(
    Object.entries(parameters).map(([name, array]) => [name, exact[name] ?? Float64Array.from(array)]),
  );
  const [result] = await runStages(
    [...stages, { kind: 'whole', outputs: { least: mul(margins, 1) } }],
    [{ ...given, lower, upper }],
  );
  return result?.outputs.least?.[0] as number;
}
