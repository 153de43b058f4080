/**
 * `ascent-kernel`: a loop that climbs a loss of a network's outputs (`iterate` with `ascent`), with the
 * network and its derivative in the interval kernel: attacks spend nearly all their time there.
 *
 * A repetition is: layers forwards; a program for the loss and its cotangent of the outputs; layers back to
 * the point; a program for the next state. A plan has both ways, as it may run where no kernel was built, on
 * a device or for a population.
 */
import { gradient, vectorJacobian } from '../../../graph/gradient.js';
import { total } from '../../../graph/operators/broadcasting.js';
import { input, inputName, isInput } from '../../../graph/operators/leaves.js';
import { type Tensor, topologicalOrder } from '../../../graph/tensor.js';
import { propagate, propagateBack } from '../../kernels/interval-kernel.js';
import { hasRowKernel } from '../../kernels/row-kernel.js';
import type { Worth } from '../layer-runs.js';
import type { Floats, Run } from '../run.js';
import { nextName } from '../step.js';
import {
  type Ascent,
  beginLoop,
  compileLoop,
  type IterateStage,
  type IterateStep,
  loopOnHost,
} from './iterate.js';
import { isWorth, type KernelRunData, worthyRuns } from './kernel-runs.js';
import type { Compiler, StageKind } from './kind.js';

export interface AscentKernelStage {
  readonly kind: 'ascent-kernel';
  readonly layers: KernelRunData;
  /** What the layers read, by name, if it is not the point itself. */
  readonly prepared: Readonly<Record<string, Tensor>>;
  /** The loss, and its cotangent of the outputs. */
  readonly turn: Readonly<Record<'value' | 'cotangent', Tensor>>;
  /** The next state. */
  readonly next: Readonly<Record<string, Tensor>>;
  /** The stage that does all of it without the kernel. */
  readonly programs: IterateStage;
}

export interface AscentKernelStep extends Omit<IterateStep, 'kind'> {
  readonly kind: 'ascent-kernel';
  readonly layers: KernelRunData;
  /** Programs for what the layers read, if it is not the point, and for the loss and its cotangent. */
  readonly prepare: number | undefined;
  readonly turn: number;
}

const [VALUE, SLOPE] = ['ascent value', 'ascent slope'];

const like = (name: string, { shape, dtype }: Tensor): Tensor => input(name, shape, dtype);

/** The loop with its network in the kernel, where that is one run of values that is worth it. */
export function withAscentKernel(
  stage: IterateStage,
  worth: Worth = isWorth,
): IterateStage | AscentKernelStage {
  if (stage.ascent === undefined || !hasRowKernel()) return stage;
  return inKernel(stage, stage.ascent, worth) ?? stage;
}

function inKernel(
  stage: IterateStage,
  { point, value, next }: Ascent,
  worth: Worth,
): AscentKernelStage | undefined {
  const outputs = { value };
  const runs = worthyRuns([{ kind: 'whole', outputs } as never], worth);
  const places = [...runs.places([value])];
  const levels = runs.levels([value]);
  const [level] = levels;
  const [layers] = level?.runs ?? [];
  const [found] = places;
  if (level === undefined || layers?.kind !== 'layers' || found === undefined) return undefined;
  const [, { run }] = found;
  if (levels.length > 1 || level.runs.length > 1 || places.length > 1 || 'rows' in run) return undefined;
  const [from, ...others] = run.input as [Tensor, ...Tensor[]];
  const reads = Object.values(level.prepared);
  if (others.length > 0 || reads.some((x) => x !== from)) return undefined;
  const cut = runs.cut(outputs).value as Tensor;
  const reached = topologicalOrder([cut]);
  const seen = reached.find((x) => isInput(x) && inputName(x) === layers.seen[0]);
  if (seen === undefined || reached.includes(point)) return undefined; // the loss sees more than outputs
  // What the layers read has the point's slope, or a share in it.
  const slopeThere = like(SLOPE, from);
  const [slope] = from === point ? [slopeThere] : vectorJacobian([from], [slopeThere], [point]);
  return {
    kind: 'ascent-kernel',
    layers,
    prepared: level.prepared,
    turn: { value: cut, cotangent: gradient(total(cut), [seen])[0] as Tensor },
    next: next(like(VALUE, value), slope as Tensor),
    programs: stage,
  };
}

function compileKernel(stage: AscentKernelStage, compiler: Compiler): void {
  const { layers, prepared, turn, next, programs } = stage;
  const { next: _, ascent: __, ...data } = programs;
  compiler.variablesOf([...Object.values(prepared), ...Object.values(turn), ...Object.values(next)]);
  const named = Object.entries(next).map(([name, y]) => [nextName(name), y]);
  const step: AscentKernelStep = {
    ...data,
    kind: 'ascent-kernel',
    layers,
    prepare: Object.keys(prepared).length > 0 ? compiler.program(prepared) : undefined,
    turn: compiler.program({ ...turn }),
    program: compiler.program(Object.fromEntries(named)),
  };
  compiler.forward(step);
}

async function run(run: Run, step: AscentKernelStep): Promise<void> {
  const { layers, prepare, turn, program } = step;
  const { chain, dtype, arrays: names, seen } = layers;
  const [logits] = seen as [string];
  const from = names[0] as string; // the input comes first
  const sizeOf = (name: string) => chain.sizes[names.indexOf(name)] as number;
  const array = async (name: string, size: number) => (await run.planArray(name, dtype, size)) as Floats;
  const stored = await array(`activations of ascent from ${from}`, chain.stored);
  const slope = await array(`${SLOPE} of ${from}`, sizeOf(from));
  const asIterate: IterateStep = { ...step, kind: 'iterate' };
  beginLoop(run, asIterate);
  run.arrays.set(logits, await array(logits, sizeOf(logits)));
  await loopOnHost(run, asIterate, async (scalars) => {
    if (prepare !== undefined) run.arrays.set(from, (await run.call(prepare))[from] as Floats);
    const work = { chain, arrays: names.map((name) => run.arrays.get(name) as Floats) };
    propagate(work, stored);
    const { value, cotangent } = await run.call(turn);
    slope.fill(0);
    const gradients = names.map((name) => {
      if (name === from) return slope;
      return name === logits ? (cotangent as Floats) : undefined;
    });
    propagateBack(work, stored, gradients);
    return run.call(program, { ...scalars, [VALUE]: value as Floats, [SLOPE]: slope });
  });
}

export const ascentKernel: StageKind<AscentKernelStage, AscentKernelStep> = {
  hasPopulations: true,
  compile: compileLoop(compileKernel),
  run,
};
