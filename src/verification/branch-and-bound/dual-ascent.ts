/**
 * The ascent of the dual program: Adam on the total of all columns' bounds, in the free numbers p of the
 * unstable ReLUs, α ∈ [0, 1] of undecided ones and β ≥ 0 of decided ones, and in the shares of tangents.
 */
import {
  add,
  div,
  gradient,
  input,
  inputName,
  maximum,
  minimum,
  mul,
  sqrt,
  square,
  sub,
  type Tensor,
  total,
} from '../../graph/index.js';
import type { MarginRun } from '../../runtime/plan/layer-runs.js';
import type { DualAscent, IterateStage } from '../../runtime/plan/stages/iterate.js';

/** First step of α and of β, and what the step is multiplied by each time (Wang et al. 2021). */
const STEP = { alpha: 0.1, beta: 0.05, fall: 0.95 };
const MOMENTS = { first: 0.9, second: 0.999 };
/** β has no upper end. */
const ENDLESS = 1e30;

/** An array of free numbers. */
export interface Ascending {
  /** What the names of its arrays end in. */
  readonly key: string;
  /** The array that it begins as. */
  readonly name: string;
  /** Zeros of its shape. */
  readonly nothing: Tensor;
  /** 1 where p is β; undefined where all are in [0, 1]. */
  readonly decided?: Tensor;
}

export interface Ascent {
  readonly iterations: number;
  readonly states: readonly Ascending[];
  /** p of each state, under the name `now:key`. */
  readonly current: readonly Tensor[];
  /** All columns' bounds at the current p, [n, 1]. */
  readonly value: Tensor;
  /** The best bounds so far under the name `best`, and the name of those at the start. */
  readonly best: Tensor;
  readonly start: string;
  /** The ascent ends early where each bound exceeds it. */
  readonly threshold: Tensor;
  /** Computes a tensor once, before the ascent, and reads it by name. */
  readonly share: (name: string, value: Tensor) => Tensor;
  /** The rows for the margin kernel, and p of each state from what it leaves; where it knows them. */
  readonly inKernel?: KernelRows;
}

/** Rows with p and signs of all neurons, [features, n, 1], and what follows from what the search leaves. */
export interface KernelRows extends Pick<DualAscent, 'before' | 'arrived' | 'atInput' | 'results'> {
  readonly run: MarginRun;
  /** Names of p that the rows begin with, and of those that the search leaves. */
  readonly best: Readonly<Record<string, string>>;
}

/** The steps of one ascent. */
export function ascentStage({
  iterations,
  states,
  current,
  value,
  best,
  start,
  threshold,
  share,
  inKernel,
}: Ascent): IterateStage {
  const scalar = (name: string) => input(name, [], value.dtype);
  const scales = { size: scalar('step'), first: scalar('first scale'), second: scalar('second scale') };
  const slopes = gradient(total(value), current);
  const raised = maximum(best, value);
  const state: Record<string, string> = { best: start, excess: start };
  const next: Record<string, Tensor> = { best: raised, excess: sub(raised, threshold) };
  states.forEach((of, i) => {
    Object.assign(state, {
      [`now:${of.key}`]: of.name,
      [`m:${of.key}`]: `zero:${of.key}`,
      [`v:${of.key}`]: `zero:${of.key}`,
    });
    const zero = share(`zero:${of.key}`, of.nothing);
    Object.assign(next, adamStep(of, zero, scales, current[i] as Tensor, slopes[i] as Tensor));
  });
  const steps = Array.from({ length: iterations }, (_, t) => t);
  const sizes = steps.map((t) => STEP.alpha * STEP.fall ** t);
  const search = inKernel && {
    ...{ run: inKernel.run, best: inKernel.best, steps: sizes },
    dual: {
      ...{ ...MOMENTS, share: STEP.beta / STEP.alpha, thresholds: inputName(threshold), bounds: 'best' },
      ...{ before: inKernel.before, results: inKernel.results },
      ...{ arrived: inKernel.arrived, atInput: inKernel.atInput },
    },
  };
  return {
    kind: 'iterate',
    count: iterations,
    state,
    next,
    until: 'excess',
    deadline: 'deadline',
    schedule: {
      step: sizes,
      'first scale': steps.map((t) => 1 / (1 - MOMENTS.first ** (t + 1))),
      'second scale': steps.map((t) => 1 / (1 - MOMENTS.second ** (t + 1))),
    },
    search,
  };
}

/** The numbers of one step: its size, and what makes up for moments that began at 0. */
type Scales = Readonly<Record<'size' | 'first' | 'second', Tensor>>;

/** One step of p and its moments, clipped to α ∈ [0, 1] or β ≥ 0. */
function adamStep(
  { key, decided }: Ascending,
  zero: Tensor,
  { size, first, second }: Scales,
  p: Tensor,
  g: Tensor,
): Record<string, Tensor> {
  const { dtype } = zero;
  const [m, v] = [input(`m:${key}`, zero.shape, dtype), input(`v:${key}`, zero.shape, dtype)];
  const newM = add(mul(m, MOMENTS.first), mul(g, 1 - MOMENTS.first));
  const newV = add(mul(v, MOMENTS.second), mul(square(g), 1 - MOMENTS.second));
  const direction = div(mul(newM, first), add(sqrt(mul(newV, second)), 1e-8));
  const stepSize = decided ? mul(size, sub(1, mul(decided, 1 - STEP.beta / STEP.alpha))) : size;
  const end = decided ? add(mul(decided, ENDLESS), 1) : 1;
  return {
    [`now:${key}`]: minimum(maximum(add(p, mul(stepSize, direction)), 0), end),
    [`m:${key}`]: newM,
    [`v:${key}`]: newV,
  };
}
