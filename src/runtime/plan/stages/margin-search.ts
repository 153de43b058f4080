/**
 * `margin-search`: a loop that raises margins by slopes of their own (`iterate` with `search`), all of it in
 * the margin kernel: rows and their slopes stay in the processor's cache for all repetitions.
 *
 * A plan has both ways, as it may run where no kernel was built, on a device or for a population.
 */
import { inputName, isInput } from '../../../graph/operators/leaves.js';
import { hostArray, type Tensor } from '../../../graph/tensor.js';
import { arrivedSize } from '../../kernels/margin-chain.js';
import { kernelDualSearch, kernelMarginSearch } from '../../kernels/margin-kernel.js';
import { hasRowKernel } from '../../kernels/row-kernel.js';
import type { Worth } from '../layer-runs.js';
import type { Floats, Run } from '../run.js';
import type { Step } from '../step.js';
import { compileLoop, type DualAscent, type IterateStage, type MarginSearch } from './iterate.js';
import { isWorth } from './kernel-runs.js';
import type { Compiler, StageKind } from './kind.js';
import { type KernelMarginsData, MarginUse } from './margin-steps.js';
import { type WholeStage, whole } from './whole.js';

/** What the kernel does, as plain data. */
interface SearchData {
  readonly margins: KernelMarginsData;
  readonly steps: readonly number[];
  /** α: its position, and the name under which the best is found. */
  readonly best: readonly (readonly [position: number, name: string])[];
  readonly dual?: Pick<DualAscent, 'first' | 'second' | 'share' | 'thresholds' | 'bounds'> & {
    readonly deadline: string | undefined;
    /** What coefficients become, by position. */
    readonly arrived: readonly (readonly [position: number, name: string])[];
  };
}

export interface MarginSearchStage {
  readonly kind: 'margin-search';
  readonly data: SearchData;
  /** What the kernel reads and is no array yet, by name. */
  readonly prepared: Readonly<Record<string, Tensor>>;
  /** What the stage after the loop gives, as functions of what the kernel leaves, where it is told. */
  readonly results: Readonly<Record<string, Tensor>> | undefined;
  /** The stages that do all of it without the kernel. */
  readonly programs: IterateStage;
  readonly finish: WholeStage | undefined;
}

export interface MarginSearchStep extends Step {
  readonly kind: 'margin-search';
  readonly data: SearchData;
}

/** The loop in the margin kernel, where it says which margins it raises and that is worth it. */
export function withMarginSearch(
  stage: IterateStage,
  worth: Worth = isWorth,
): IterateStage | MarginSearchStage {
  if (stage.search === undefined || !hasRowKernel()) return stage;
  return inKernel(stage, stage.search, worth) ?? stage;
}

/** A dual search and the stage that follows it, which reads what both ways leave. */
export function withDualSearch(
  stage: IterateStage,
  finish: WholeStage,
): readonly (IterateStage | MarginSearchStage | WholeStage)[] {
  const search = withMarginSearch(stage);
  return search.kind === 'margin-search' ? [{ ...search, finish }] : [search, finish];
}

function inKernel(
  stage: IterateStage,
  { run, best, steps, dual }: MarginSearch,
  worth: Worth,
): MarginSearchStage | undefined {
  const use = new MarginUse(run, 0);
  if (!use.passes((multiplications, seen) => worth(multiplications * steps.length, seen))) return undefined;
  const names = new Map<Tensor, string>();
  const prepared: Record<string, Tensor> = {};
  const nameOf = (x: Tensor): string => {
    if (isInput(x)) return inputName(x);
    const name = names.get(x) ?? `search reads ${names.size}`;
    names.set(x, name);
    prepared[name] = x;
    return name;
  };
  const margins = use.data(nameOf);
  const data: SearchData = {
    margins: { ...margins, arrays: margins.arrays.map((name) => stage.state[name] ?? name) },
    steps,
    best: Object.entries(best).map(([alpha, name]) => [margins.arrays.indexOf(alpha), name]),
  };
  const search = { kind: 'margin-search', prepared, programs: stage, finish: undefined } as const;
  if (dual === undefined) return { ...search, data, results: undefined };
  const { before, results, arrived, atInput, ...rule } = dual;
  Object.assign(prepared, before);
  const seen: [number, string][] = Object.entries(arrived).map(([p, name]) => [
    margins.arrays.indexOf(p),
    name,
  ]);
  if (atInput !== undefined) seen.push([margins.arrays.length - 1, atInput]);
  return {
    ...search,
    data: { ...data, dual: { ...rule, deadline: stage.deadline, arrived: seen } },
    results,
  };
}

function compileKernel(
  { data, prepared, results }: MarginSearchStage,
  compiler: Compiler,
  isLast: boolean,
): void {
  if (Object.keys(prepared).length > 0)
    whole.compile({ kind: 'whole', outputs: prepared, constant: true }, compiler, false);
  const step: MarginSearchStep = { kind: 'margin-search', data };
  compiler.forward(step);
  if (results) whole.compile({ kind: 'whole', outputs: results, constant: true }, compiler, isLast);
}

async function run(run: Run, { data }: MarginSearchStep): Promise<void> {
  const { arrays } = run;
  const { chain, dtype, arrays: names } = data.margins;
  const found = await Promise.all(
    data.best.map(async ([position, name]) => {
      const array = (await run.planArray(name, dtype, chain.sizes[position] as number)) as Floats;
      return [position, name, array] as const;
    }),
  );
  const places = names.map((_, i) => found.find(([position]) => position === i)?.[2]);
  const steps = hostArray(dtype, data.steps.length) as Floats;
  steps.set(data.steps);
  const work = { chain, arrays: names.map((name) => arrays.get(name) as Floats) };
  const margins = hostArray(dtype, chain.margins) as Floats;
  if (data.dual === undefined) kernelMarginSearch(work, steps, margins, places);
  else {
    const { thresholds, bounds, deadline = '' } = data.dual;
    const [until = Number.POSITIVE_INFINITY] = (arrays.get(deadline) as Floats | undefined) ?? [];
    const seen: (Floats | undefined)[] = data.dual.arrived.length > 0 ? names.map(() => undefined) : [];
    for (const [position, name] of data.dual.arrived) {
      seen[position] = (await run.planArray(name, dtype, arrivedSize(chain, position))) as Floats;
      arrays.set(name, seen[position]);
    }
    const given = arrays.get(thresholds) as Floats;
    kernelDualSearch(work, data.dual, steps, given, until, margins, places, seen);
    arrays.set(bounds, margins);
  }
  for (const [, name, array] of found) arrays.set(name, array);
}

export const marginSearch: StageKind<MarginSearchStage, MarginSearchStep> = {
  hasPopulations: true,
  compile: compileLoop(compileKernel),
  run,
};
