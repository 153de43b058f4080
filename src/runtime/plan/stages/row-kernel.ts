/**
 * `row-kernel`: bounds of the neurons that earlier bounds leave unstable, in the row kernel (`kernels/`)
 * instead of programs.
 *
 * A plan has both ways, as it may run where no kernel was built or on a device. Populations have programs
 * alone. The bounds are the same but for the order in which sums are rounded.
 */
import { remembered } from '../../../graph/remembered.js';
import { hostArray, sizeOf, type Tensor } from '../../../graph/tensor.js';
import type { EncodedChain } from '../../kernels/row-chain.js';
import { kernelBounds, kernelGradients } from '../../kernels/row-kernel.js';
import type { Floats, Run } from '../run.js';
import { gradientName, type Step } from '../step.js';
import type { Compiler, StageKind } from './kind.js';
import { rows } from './rows/rows.js';
import { selectRows } from './rows/selection.js';
import type { RowsData, RowsStage } from './rows/stage.js';
import { type WholeStage, whole } from './whole.js';

/** What the kernel does, as plain data. */
export interface KernelRowsData extends Omit<RowsData, 'members' | 'passThrough'> {
  readonly chain: EncodedChain;
  /** Names of the kernel's arrays, by position. */
  readonly arrays: readonly string[];
  /** Those without a derivative. */
  readonly constants: readonly string[];
}

export interface RowKernelStage {
  readonly kind: 'row-kernel';
  readonly rows: KernelRowsData;
  /** Arrays that the kernel reads, and the cheap bounds, by name: computed before. */
  readonly prepared: Readonly<Record<string, Tensor>>;
  /** Stages that leave the same bounds without the kernel. */
  readonly programs: readonly (WholeStage | RowsStage)[];
}

export interface RowKernelStep extends Step {
  readonly kind: 'row-kernel';
  /** Whether this is the derivative. */
  readonly reverse: boolean;
  readonly rows: KernelRowsData;
  /** Arrays whose gradient is computed. */
  readonly wanted: readonly string[];
  /** Whether the cheap bounds get the cotangents of neurons without a row. */
  readonly passThrough: boolean;
}

/** The rows; a stage and its derivative run the same. */
const selections = remembered<Run, Int32Array>();

const selectionOf = (run: Run, data: KernelRowsData): Int32Array =>
  selections(run, data.refined.lower, () => {
    const [lower, upper] = [data.cheap.lower, data.cheap.upper].map((name) => run.arrays.get(name) as Floats);
    return selectRows(lower as Floats, upper as Floats, { ...data, passThrough: false })[0] as Int32Array;
  });

const read = (run: Run, { arrays }: KernelRowsData): Floats[] =>
  arrays.map((name) => run.arrays.get(name) as Floats);

/** The refined bounds: the cheap ones, but for neurons with a row. */
function refine(run: Run, { rows: data }: RowKernelStep): void {
  const { chain, cheap, refined, dtype } = data;
  const chosen = selectionOf(run, data);
  const [lower, upper] = [0, 1].map(() => hostArray(dtype, chosen.length)) as [Floats, Floats];
  kernelBounds({ chain, arrays: read(run, data), rows: chosen }, lower, upper);
  const replaced = (name: string, bounds: Floats): Floats => {
    const copy = (run.arrays.get(name) as Floats).slice();
    for (let i = 0; i < chosen.length; i++) copy[chosen[i] as number] = bounds[i] as number;
    return copy;
  };
  run.arrays.set(refined.lower, replaced(cheap.lower, lower));
  run.arrays.set(refined.upper, replaced(cheap.upper, upper));
}

/** Cotangents of the refined bounds to those of what rows read, and of the cheap bounds. */
async function pullBack(run: Run, { rows: data, wanted, passThrough }: RowKernelStep): Promise<void> {
  const { chain, cheap, refined, dtype, shape } = data;
  const cotangents = [refined.lower, refined.upper].map((name) => run.arrays.get(gradientName(name)));
  if (cotangents.every((cotangent) => cotangent === undefined)) return; // nothing depends on these bounds
  const [lower, upper] = cotangents.map((c) => c ?? hostArray(dtype, sizeOf(shape))) as [Floats, Floats];
  const chosen = selectionOf(run, data);
  // Bounds that nothing depends on need no rows: of a stable neuron, say, and of one behind it.
  const asked = chosen.filter((at) => lower[at] !== 0 || upper[at] !== 0);
  const taken = (all: Floats): Floats => {
    const values = hostArray(dtype, asked.length) as Floats;
    for (let i = 0; i < asked.length; i++) values[i] = all[asked[i] as number] as number;
    return values;
  };
  if (wanted.length > 0) {
    const sums = new Map<string, Floats>();
    for (const name of wanted) {
      const size = chain.sizes[data.arrays.indexOf(name)] as number;
      const sum = (await run.planArray(`∂${name} of ${refined.lower}`, dtype, size)) as Floats;
      sums.set(name, sum.fill(0));
    }
    const into = data.arrays.map((name) => sums.get(name));
    kernelGradients({ chain, arrays: read(run, data), rows: asked }, taken(lower), taken(upper), into);
    for (const [name, sum] of sums) await run.addGradient(gradientName(name), sum);
  }
  if (!passThrough) return;
  // Neurons without a row have the cheap bounds, so their cotangents go there.
  for (const at of chosen) {
    lower[at] = 0;
    upper[at] = 0;
  }
  await run.addGradient(gradientName(cheap.lower), lower);
  await run.addGradient(gradientName(cheap.upper), upper);
}

function compileKernel({ prepared, rows: data }: RowKernelStage, compiler: Compiler): void {
  whole.compile({ kind: 'whole', outputs: prepared }, compiler, false);
  const isWanted = (name: string) => compiler.isActive(name) && !data.constants.includes(name);
  const wanted = [...new Set(data.arrays.filter(isWanted))];
  const passThrough = compiler.isActive(data.cheap.lower) || compiler.isActive(data.cheap.upper);
  const forward: RowKernelStep = { kind: 'row-kernel', reverse: false, rows: data, wanted, passThrough };
  compiler.forward(forward);
  if (wanted.length === 0 && !passThrough) return;
  compiler.activate([data.refined.lower, data.refined.upper]);
  const backward: RowKernelStep = { ...forward, reverse: true };
  compiler.backward(backward);
}

function compilePrograms({ programs }: RowKernelStage, compiler: Compiler): void {
  for (const stage of programs)
    if (stage.kind === 'whole') whole.compile(stage, compiler, false);
    else rows.compile(stage, compiler, false);
}

export const rowKernel: StageKind<RowKernelStage, RowKernelStep> = {
  hasPopulations: true,
  compile(stage, compiler) {
    if (compiler.members !== undefined) return compilePrograms(stage, compiler);
    compiler.way('kernel', () => compileKernel(stage, compiler));
    compiler.way('programs', () => compilePrograms(stage, compiler));
  },
  run: async (run, step) => (step.reverse ? pullBack(run, step) : refine(run, step)),
};
