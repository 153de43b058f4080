/**
 * `interval-kernel`: a stage whose graph contains values or intervals of layers (`layer-runs.ts`), with those
 * in the interval kernel (`kernels/`) and the rest in a smaller graph.
 *
 * A plan has both ways, as it may run where no kernel was built or on a device. Populations have programs
 * alone. Values are the same but for the order in which sums are rounded.
 */
import { propagate, propagateBack } from '../../kernels/interval-kernel.js';
import { hasRowKernel } from '../../kernels/row-kernel.js';
import type { Floats, Run } from '../run.js';
import { gradientName, type Step } from '../step.js';
import type { IterateStage } from './iterate.js';
import {
  hasLayers,
  isWorth,
  type KernelLevel,
  type KernelRunData,
  outputsOf,
  worthyRuns,
} from './kernel-runs.js';
import type { Compiler, StageKind } from './kind.js';
import { type MarginSearchStage, withMarginSearch } from './margin-search.js';
import { forwardMargins, type KernelMarginsData, reverseMargins } from './margin-steps.js';
import { type RowKernelStage, rowKernel } from './row-kernel.js';
import { type WholeStage, whole } from './whole.js';

export interface IntervalKernelStage {
  readonly kind: 'interval-kernel';
  readonly levels: readonly KernelLevel[];
  /** The stage that reads what the kernel leaves. */
  readonly rest: WholeStage | RowKernelStage;
  /** The stage that does all of it without the kernel. */
  readonly programs: WholeStage | RowKernelStage;
}

export interface IntervalKernelStep extends Step {
  readonly kind: 'interval-kernel';
  /** Whether this is the derivative. */
  readonly reverse: boolean;
  readonly data: KernelRunData | KernelMarginsData;
  /** Arrays whose gradient is computed. */
  readonly wanted: readonly string[];
}

const isLoop = (stage: { readonly kind: string }): stage is IterateStage => stage.kind === 'iterate';

/**
 * The stages of a plan, with layers in the interval kernel where they contain some that are worth it and it
 * was built, and searches for slopes in the margin kernel.
 */
export function withIntervalKernel<Stage extends { readonly kind: string }>(
  stages: readonly (Stage | WholeStage | RowKernelStage)[],
  worth = isWorth,
): readonly (Stage | WholeStage | RowKernelStage | IntervalKernelStage | MarginSearchStage)[] {
  if (!hasRowKernel()) return stages;
  const runs = worthyRuns(stages, worth);
  return stages.map((stage) => {
    if (isLoop(stage)) return withMarginSearch(stage, worth) as Stage | MarginSearchStage;
    if (!hasLayers(stage)) return stage;
    const all = Object.values(outputsOf(stage));
    if (runs.places(all).size === 0) return stage;
    const levels = runs.levels(all);
    const outputs = runs.cut(outputsOf(stage));
    const rest = stage.kind === 'whole' ? { ...stage, outputs } : { ...stage, prepared: outputs };
    return { kind: 'interval-kernel', levels, rest, programs: stage };
  });
}

const arraysOf = (run: Run, { arrays }: KernelRunData): Floats[] =>
  arrays.map((name) => run.arrays.get(name) as Floats);

/** Activations of the plan, from the forward pass to its reverse. */
const stored = async (run: Run, { chain, dtype, arrays }: KernelRunData): Promise<Floats> =>
  (await run.planArray(`activations behind ${arrays[0]} to ${arrays.at(-1)}`, dtype, chain.stored)) as Floats;

async function forward(run: Run, { data, wanted }: IntervalKernelStep): Promise<void> {
  if (data.kind === 'margins') return forwardMargins(run, data);
  const { chain, dtype, arrays, seen } = data;
  for (const name of seen)
    run.arrays.set(name, await run.planArray(name, dtype, chain.sizes[arrays.indexOf(name)] as number));
  propagate({ chain, arrays: arraysOf(run, data) }, wanted.length > 0 ? await stored(run, data) : undefined);
}

/** Cotangents of what was seen to those of what the kernel read. */
async function reverse(run: Run, { data, wanted }: IntervalKernelStep): Promise<void> {
  if (data.kind === 'margins') return reverseMargins(run, data, wanted);
  const { chain, dtype, arrays, seen } = data;
  const cotangents = new Map(seen.map((name) => [name, run.arrays.get(gradientName(name)) as Floats]));
  if ([...cotangents.values()].every((cotangent) => cotangent === undefined)) return; // not needed
  const sums = new Map<string, Floats>();
  const begun: [name: string, sum: Floats][] = [];
  for (const name of wanted) {
    const size = chain.sizes[arrays.indexOf(name)] as number;
    const sum = (await run.planArray(`∂${name} by layers`, dtype, size)) as Floats;
    sums.set(name, sum);
    // The kernel adds to what another run of layers has left there.
    if (run.arrays.get(gradientName(name)) === sum) continue;
    begun.push([gradientName(name), sum.fill(0)]);
  }
  const into = arrays.map((name) => cotangents.get(name) ?? sums.get(name));
  propagateBack({ chain, arrays: arraysOf(run, data) }, await stored(run, data), into);
  for (const [name, sum] of begun) await run.addGradient(name, sum);
}

function compileRun(data: KernelRunData | KernelMarginsData, compiler: Compiler): void {
  const without = data.kind === 'margins' ? [...data.seen, ...data.constants] : data.seen;
  const isWanted = (name: string) => compiler.isActive(name) && !without.includes(name);
  const wanted = [...new Set(data.arrays.filter(isWanted))];
  const step: IntervalKernelStep = { kind: 'interval-kernel', reverse: false, data, wanted };
  compiler.forward(step);
  if (wanted.length === 0) return;
  compiler.activate(data.seen);
  const back: IntervalKernelStep = { ...step, reverse: true };
  compiler.backward(back);
}

function compileStage(stage: WholeStage | RowKernelStage, compiler: Compiler, isLast: boolean): void {
  if (stage.kind === 'whole') whole.compile(stage, compiler, isLast);
  else rowKernel.compile(stage, compiler, isLast);
}

export const intervalKernel: StageKind<IntervalKernelStage, IntervalKernelStep> = {
  hasPopulations: true,
  compile({ levels, rest, programs }, compiler, isLast) {
    if (compiler.members !== undefined) return compileStage(programs, compiler, isLast);
    compiler.way('kernel', () => {
      for (const { prepared, runs } of levels) {
        if (Object.keys(prepared).length > 0)
          whole.compile({ kind: 'whole', outputs: prepared }, compiler, false);
        for (const data of runs) compileRun(data, compiler);
      }
      compileStage(rest, compiler, isLast);
    });
    compiler.way('programs', () => compileStage(programs, compiler, isLast));
  },
  run: (run, step) => (step.reverse ? reverse(run, step) : forward(run, step)),
};
