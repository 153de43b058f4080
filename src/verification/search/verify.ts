/**
 * The answer to whether a network fulfils a property: a proof (`unsat`: no input of the boxes leads to an
 * unsafe output), a counterexample (`sat`), or neither within the limits.
 *
 *   attack → IBP → CROWN → α-CROWN → branch and bound, with further attacks beside it
 *
 * A proof is one of the real-number function of the network's weights, computed in float32 with the
 * allowances of `rounding.ts`; a counterexample rests on what the model itself answers (`counterexample.ts`).
 */
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import type { ParameterArrays } from '../../network/parameters.js';
import type { Device } from '../../runtime/device/device.js';
import { createPool, type Pool } from '../../runtime/pool/pool.js';
import { createContext, type PlanStore } from '../proof/context.js';
import type { Counterexample, Evaluate } from '../proof/counterexample.js';
import { TooLate, untilDeadline } from '../proof/deadline.js';
import { climb } from '../proof/ladder.js';
import type { BoxTrace } from '../proof/trace.js';
import type { Property } from '../property/property.js';
import { PropertyClimb, type VerificationStage, type VerifyProgress } from './property-climb.js';
import { propertyStages } from './property-stages.js';

export interface VerifyOptions {
  readonly network: Network;
  readonly parameters: ParameterArrays;
  /**
   * Those that float32 does not hold, as the model's file has them: `sound` proofs are of these.
   */
  readonly exact?: Readonly<Record<string, Float64Array>>;
  /** Whether the model computes in float64: then every proof is `sound`, of `exact`. */
  readonly double?: boolean;
  readonly property: Property;
  /**
   * Wall clock (default: no limit). The answer comes at most a second later; a call of ONNX Runtime that
   * outlasts it goes on behind it, and with it the process.
   */
  readonly timeoutSeconds?: number;
  /** Bytes that open subproblems may take, and each file that is read, unpacked. */
  readonly memoryBytes?: number;
  /** Worker threads (default: as many as the processor runs at once). */
  readonly threads?: number;
  /** Device that runs the programs (default cpu). */
  readonly device?: Device;
  /** Memory that programs may take of a device (default: most of what is free). */
  readonly deviceMegabytes?: number;
  /** Workers to use instead of own ones; left open. */
  readonly pool?: Pool;
  /** Plans of networks of the same layers with other parameters, and of this one from then on. */
  readonly plans?: PlanStore;
  /**
   * Bounds in float64 less a bound of all their rounding errors: proofs that hold for adversarially chosen
   * weights too.
   */
  readonly sound?: boolean;
  /** Whether whole boxes are bounded before they are attacked (default false): where most are proved. */
  readonly boundsFirst?: boolean;
  /** Seed of everything random (default 0). */
  readonly seed?: number;
  /**
   * Outputs of the user's own model at x, which counterexamples are checked with (default: the network's).
   */
  readonly evaluate?: Evaluate;
  /** Takes how the search proved polytopes, for a certificate (`propertyCertificate`). */
  readonly traced?: (traces: readonly BoxTrace[]) => void;
  readonly progress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * The outcome of a verification: `unsat`, proved; `sat`, with a counterexample; or neither within the
 * limits.
 */
export interface Verification {
  readonly verdict: 'unsat' | 'sat' | 'timeout' | 'unknown';
  readonly counterexample?: Counterexample;
  /** Stage that decided; null where none did. */
  readonly stage: VerificationStage | null;
  /** Boxes and parts of boxes bounded. */
  readonly subproblems: number;
  /** The least over polytopes of the best bound of c·y + d·x − b; left out where none was computed. */
  readonly lowerBound?: number;
  readonly seconds: number;
  /** Reason for which there is no answer. */
  readonly reason?: string;
}

/**
 * Verifies one property.
 * @throws RangeError for a property of another size than the network; the reason of `signal` when it is
 *  aborted
 */
export async function verify(options: VerifyOptions): Promise<Verification> {
  const { network, parameters, property, timeoutSeconds = Number.POSITIVE_INFINITY } = options;
  checkSizes(network, property);
  if (!(timeoutSeconds > 0))
    throw new RangeError(`verify: expected a timeout above 0 seconds, got ${timeoutSeconds}`);
  if (property.polytopes.length === 0) return { verdict: 'unsat', stage: null, subproblems: 0, seconds: 0 };
  const started = performance.now();
  const deadline = started + 1000 * timeoutSeconds;
  const seconds = () => (performance.now() - started) / 1000;
  const pool = options.pool ?? createPool(options.threads, options.device, options.deviceMegabytes);
  try {
    const { exact, evaluate, seed, signal, memoryBytes, plans, traced, progress } = options;
    const context = createContext({ network, parameters, exact, pool, evaluate, seed, signal, plans });
    const found = await answerInTime(
      new PropertyClimb(untilDeadline(context, deadline), property.polytopes, {
        deadline,
        memoryBytes,
        boundsFirst: options.boundsFirst,
        sound: options.sound || options.double,
        traced,
        progress: progress && ((state) => progress({ ...state, seconds: seconds() })),
      }),
    );
    return { ...found, seconds: seconds() };
  } finally {
    // A call that outlasts the limit is not waited for.
    if (options.pool === undefined) await pool.close({ waits: performance.now() < deadline });
  }
}

type Answer = Omit<Verification, 'seconds'>;

/** The answer, or that a call of a stage came too late for one. */
async function answerInTime(context: PropertyClimb): Promise<Answer> {
  try {
    return await answer(context);
  } catch (error) {
    if (!(error instanceof TooLate)) throw error;
    const { subproblems } = context;
    return { verdict: 'timeout', stage: null, subproblems, ...context.lowerBound() };
  }
}

/** The answer of the stages, one after another. */
async function answer(context: PropertyClimb): Promise<Answer> {
  const { verdicts, rungs } = await climb({
    stages: propertyStages(context.limits.boundsFirst === true),
    context,
    items: [...context.polytopes.keys()],
    endsAll: ({ counterexample }) => counterexample !== undefined,
  });
  const totals = { subproblems: context.subproblems, ...context.lowerBound() };
  const last = rungs.flatMap((rung) => rung.verdicts).at(-1);
  if (last?.counterexample)
    return { verdict: 'sat', counterexample: last.counterexample, stage: last.stage, ...totals };
  // Each polytope by itself: a proof of the last one proves nothing of those before it.
  if (verdicts.every((verdict) => verdict !== undefined))
    return { verdict: 'unsat', stage: last?.stage ?? null, ...totals };
  const { unfinished: reason } = context;
  if (reason === 'time') return { verdict: 'timeout', stage: null, ...totals };
  return { verdict: 'unknown', stage: null, ...totals, reason: REASONS[reason] };
}

const REASONS = {
  memory: 'the open subproblems need more memory; allow more with --memory',
  leaves:
    'parts that cannot be divided any further are neither proved nor refuted: their margin is zero to ' +
    'rounding',
} as const;

function checkSizes(network: Network, { inputs, outputs }: Property): void {
  const features = featuresOf(network.input);
  if (inputs !== features || outputs !== network.classes)
    throw new RangeError(
      `verify: expected a property over the network's ${features} inputs and ${network.classes} outputs, ` +
        `got one over ${inputs} inputs and ${outputs} outputs`,
    );
}
