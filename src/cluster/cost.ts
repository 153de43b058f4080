/**
 * What trials will cost, measured: some steps of each kind are taken at the full ε, and multiplied.
 *
 * Trials are of one kind when they differ only in settings that change numbers, not work. The estimate is of
 * training; judging comes on top. It is rough: the unstable neurons of a network at its initialisation are
 * not those of a trained one.
 */
import { prepare } from '../experiment/prepare-training.js';
import type { SettingName, Settings } from '../experiment/settings/settings.js';
import { createPool } from '../runtime/pool/pool.js';
import { chooseDevice } from '../runtime/survey/devices.js';
import { stepsPerEpoch, training } from '../training/loop.js';
import { type PlannedTrial, plannedTrials, type SweepDefinition } from './definition.js';
import { budgetsOf, type Halving } from './search/search.js';

/** Settings that change numbers only: how long a step takes does not depend on them. */
const NUMBERS: readonly SettingName[] = [
  ...(['learningRate', 'learningRateDecayEpochs', 'learningRateDecayFactor', 'gradientClip', 'l1'] as const),
  ...(['kappa', 'kappaStart', 'lambda', 'alpha', 'tapsWeight', 'attackStepSize'] as const),
  ...(['warmupStart', 'warmupEpochs'] as const),
  ...(['seed', 'epochs', 'out', 'threads', 'swaStart', 'select', 'checkpointEvery'] as const),
];

/** Equal for trials whose steps take equally long. */
export const kindOf = (settings: Settings): string =>
  JSON.stringify(
    Object.entries(settings).filter(
      ([name]) => !NUMBERS.includes(name as SettingName) && !name.startsWith('sigma'),
    ),
  );

/** What one step takes. */
export interface StepCost {
  /** Wall clock until the second step: reading data, compiling, the first step. */
  readonly startSeconds: number;
  readonly stepSeconds: number;
  readonly stepsPerEpoch: number;
}

/** What is timed, behind the first step: so many steps, or as many as begin in so many seconds. */
const TIMED = { steps: 40, seconds: 0.5 } as const;

const medianOf = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/**
 * Takes some steps of a training, without warm-up and without a run folder: the median of those timed.
 * @throws Error if the settings' device cannot be used
 */
export async function stepCost(settings: Settings, threads: number): Promise<StepCost> {
  const device = await chooseDevice(settings.device);
  const started = performance.now();
  const pool = createPool(threads, device, settings.memory);
  try {
    const full = { ...settings, threads, warmupStart: 0, warmupEpochs: 0 };
    const { options, first } = await prepare(full, pool);
    const steps = training(options, first)[Symbol.asyncIterator]();
    await steps.next();
    const second = performance.now();
    const seconds: number[] = [];
    for (let from = second; seconds.length < TIMED.steps && from - second < 1000 * TIMED.seconds; ) {
      const { done } = await steps.next();
      const ended = performance.now();
      if (done) break;
      seconds.push((ended - from) / 1000);
      from = ended;
    }
    await steps.return?.(undefined);
    const startSeconds = (second - started) / 1000;
    // Of a training of one step there is only the first, with all that comes before it.
    const stepSeconds = seconds.length > 0 ? medianOf(seconds) : startSeconds;
    return { startSeconds, stepSeconds, stepsPerEpoch: stepsPerEpoch(options) };
  } finally {
    await pool.close();
  }
}

/** Epochs that a sweep of `trials` trained in all, over the epochs of training each to its end. */
function shareOfHalving(trials: number, halving: Halving): number {
  const budgets = budgetsOf(halving);
  const spent = budgets.map((budget, rung) => {
    const promoted = Math.floor(trials / halving.factor ** rung);
    return promoted * (budget - (budgets[rung - 1] ?? 0));
  });
  return spent.reduce((sum, epochs) => sum + epochs, 0) / (trials * halving.last);
}

/** Cost of the trials of one kind. */
export interface KindCost extends StepCost {
  readonly settings: Settings;
  readonly trials: number;
  /** Steps of all of them. */
  readonly steps: number;
  /** Core-seconds of all of them, with the threads that were measured. */
  readonly seconds: number;
}

export interface SweepCost {
  readonly kinds: readonly KindCost[];
  readonly trials: number;
  /** Wall clock in all, with so many trials at a time. */
  readonly seconds: number;
}

/**
 * Measures steps of each kind of trial.
 * @param parallel trials at a time, `threads` worker threads each
 * @throws UsageError for settings that cannot be
 */
export async function sweepCost(
  definition: SweepDefinition,
  { parallel, threads, signal }: { parallel: number; threads: number; signal?: AbortSignal },
): Promise<SweepCost> {
  const planned = plannedTrials(definition);
  const kinds = new Map<string, PlannedTrial[]>();
  for (const trial of planned) {
    const kind = kindOf(trial.settings);
    kinds.set(kind, [...(kinds.get(kind) ?? []), trial]);
  }
  const { halving } = definition.search;
  const share = halving === undefined ? 1 : shareOfHalving(planned.length, halving);
  const costs: KindCost[] = [];
  for (const trials of kinds.values()) {
    signal?.throwIfAborted();
    const { settings } = trials[0] as PlannedTrial;
    const cost = await stepCost(settings, threads);
    const epochs = trials.reduce((sum, trial) => sum + trial.settings.epochs, 0) * share;
    const steps = Math.ceil(epochs * cost.stepsPerEpoch);
    const seconds = trials.length * cost.startSeconds + steps * cost.stepSeconds;
    costs.push({ ...cost, settings, trials: trials.length, steps, seconds });
  }
  const seconds = costs.reduce((sum, kind) => sum + kind.seconds, 0) / Math.min(parallel, planned.length);
  return { kinds: costs, trials: planned.length, seconds };
}
