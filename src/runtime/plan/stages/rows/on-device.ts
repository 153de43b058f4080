/**
 * Runs a rows stage, or its derivative, where bounds stay on the device: programs choose the rows, and only
 * how many there are comes back.
 */
import { remembered } from '../../../../graph/remembered.js';
import { sizeOf } from '../../../../graph/tensor.js';
import type { DeviceArray } from '../../../device/array.js';
import type { Floats, ProgramArrays, Run } from '../../run.js';
import { gradientName } from '../../step.js';
import { type RowPrograms, rowPrograms } from './programs.js';
import { type Chunk, chunks } from './selection.js';
import { ROW_INDICES, type RowsStep } from './stage.js';

interface Bounds {
  readonly lower: DeviceArray;
  readonly upper: DeviceArray;
}

/** The rows that a stage chose in a run of its plan. */
interface ChosenRows {
  readonly programs: RowPrograms;
  readonly rank: DeviceArray;
  readonly order: DeviceArray;
  /** Rows of each member. */
  readonly count: Float32Array;
  /** The cheap bounds, with the axis of members. */
  readonly cheap: Bounds;
}

/** A stage and its derivative run the same rows. */
const choices = remembered<Run, Promise<ChosenRows>>();

const chosenRows = (run: Run, step: RowsStep): Promise<ChosenRows> =>
  choices(run, step.rows.refined.lower, () => choose(run, step));

/** Numbers of one bound of all members. */
const boundsSize = ({ rows: { members = 1, shape } }: RowsStep): number => members * sizeOf(shape);

/** An array of this stage alone. */
async function stageArray(
  run: Run,
  { rows: { refined } }: RowsStep,
  name: string,
  size: number,
  dtype: 'float32' | 'int32' = 'float32',
): Promise<DeviceArray> {
  return (await run.planArray(`${name} of ${refined.lower}`, dtype, size)) as DeviceArray;
}

async function choose(run: Run, step: RowsStep): Promise<ChosenRows> {
  const { cheap, refined, members = 1 } = step.rows;
  const size = boundsSize(step);
  const bound = (name: string) => run.arrays.get(name) as DeviceArray | Floats;
  const [lower, upper] = [bound(cheap.lower), bound(cheap.upper)];
  const isShared = (data: DeviceArray | Floats) => ('size' in data ? data.size : data.length) < size;
  const shared = { lower: isShared(lower), upper: isShared(upper) };
  const programs = run.remember(`rows ${refined.lower} ${shared.lower} ${shared.upper}`, (id) =>
    rowPrograms(id, step.rows, shared),
  );
  const order = await stageArray(run, step, 'order', members * programs.orderSize);
  const rank = await stageArray(run, step, 'rank', size, 'int32');
  const copies: { [bound in `own ${keyof Bounds}`]?: DeviceArray } = {};
  if (shared.lower) copies['own lower'] = await stageArray(run, step, 'own lower', size);
  if (shared.upper) copies['own upper'] = await stageArray(run, step, 'own upper', size);
  const { count } = await run.compute(programs.select, { lower, upper }, { order, rank, ...copies });
  return {
    programs,
    rank,
    order,
    count: count as Float32Array,
    cheap: {
      lower: copies['own lower'] ?? (lower as DeviceArray),
      upper: copies['own upper'] ?? (upper as DeviceArray),
    },
  };
}

/**
 * Which neuron each row of a chunk is, as arrays on the device. Where a derivative will want them again,
 * every chunk has its own.
 */
async function indicesOf(
  run: Run,
  step: RowsStep,
  { programs, order, count }: ChosenRows,
  { start, rows }: Chunk,
): Promise<Record<(typeof ROW_INDICES)[number], DeviceArray>> {
  const chunk = run.plan.wrt.length > 0 ? `${start} ${rows}` : `${rows}`;
  const size = (step.rows.members ?? 1) * rows;
  const into: Record<string, DeviceArray> = {};
  for (const name of ROW_INDICES) into[name] = await stageArray(run, step, `${name} ${chunk}`, size, 'int32');
  if (!step.reverse)
    await run.compute(programs.indices(rows), { order, count, start: Int32Array.of(start) }, into);
  return into as Record<(typeof ROW_INDICES)[number], DeviceArray>;
}

/** Bounds of a chunk's rows. */
async function rowBounds(run: Run, step: RowsStep, chosen: ChosenRows, chunk: Chunk): Promise<Bounds> {
  const size = (step.rows.members ?? 1) * chunk.rows;
  const indices = await indicesOf(run, step, chosen, chunk);
  const bounds = {
    lower: await stageArray(run, step, `row lower ${chunk.rows}`, size),
    upper: await stageArray(run, step, `row upper ${chunk.rows}`, size),
  };
  await run.call(chunk.program, indices, bounds);
  return bounds;
}

/** The refined bounds: the cheap ones, but for neurons with a row. */
async function refine(run: Run, step: RowsStep): Promise<void> {
  const { refined } = step.rows;
  const chosen = await chosenRows(run, step);
  const { programs, count, rank } = chosen;
  let bounds = chosen.cheap;
  for (const [turn, chunk] of chunks(Math.max(...count), step.programs, 'device').entries()) {
    const rows = await rowBounds(run, step, chosen, chunk);
    const merged = {
      lower: await stageArray(run, step, `lower ${turn % 2}`, boundsSize(step)),
      upper: await stageArray(run, step, `upper ${turn % 2}`, boundsSize(step)),
    };
    const start = Int32Array.of(chunk.start);
    await run.compute(
      programs.merge(chunk.rows),
      { ...bounds, rank, start, 'row lower': rows.lower, 'row upper': rows.upper },
      { 'merged lower': merged.lower, 'merged upper': merged.upper },
    );
    bounds = merged;
  }
  run.arrays.set(refined.lower, bounds.lower);
  run.arrays.set(refined.upper, bounds.upper);
}

/** Adds what the rows of a chunk give to the gradients of what they read. */
async function pullBackRows(
  run: Run,
  step: RowsStep,
  chosen: ChosenRows,
  chunk: Chunk,
  cotangents: ProgramArrays,
): Promise<void> {
  const size = (step.rows.members ?? 1) * chunk.rows;
  const indices = await indicesOf(run, step, chosen, chunk);
  const lower = await stageArray(run, step, `row ∂lower ${chunk.rows}`, size);
  const upper = await stageArray(run, step, `row ∂upper ${chunk.rows}`, size);
  const { programs, count } = chosen;
  const start = Int32Array.of(chunk.start);
  await run.compute(
    programs.pick(chunk.rows),
    { ...cotangents, position: indices.position, count, start },
    { 'row ∂lower': lower, 'row ∂upper': upper },
  );
  await run.call(chunk.program, {
    ...indices,
    [gradientName('lower')]: lower,
    [gradientName('upper')]: upper,
  });
}

/** Cotangents of the refined bounds to those of what rows read, and of the cheap bounds. */
async function pullBack(run: Run, step: RowsStep): Promise<void> {
  const { refined, cheap, passThrough } = step.rows;
  const names = { lower: gradientName(refined.lower), upper: gradientName(refined.upper) };
  if (!run.arrays.has(names.lower) && !run.arrays.has(names.upper)) return; // nothing depends on these bounds
  const chosen = await chosenRows(run, step);
  const { programs, count, rank } = chosen;
  const size = boundsSize(step);
  const cotangent = async (name: string) => run.arrays.get(name) ?? (await run.zeros('float32', size));
  const cotangents = {
    [gradientName('lower')]: await cotangent(names.lower),
    [gradientName('upper')]: await cotangent(names.upper),
  };
  for (const chunk of step.programs.length === 0 ? [] : chunks(Math.max(...count), step.programs, 'device'))
    await pullBackRows(run, step, chosen, chunk, cotangents);
  if (!passThrough) return;
  // Neurons without a row have the cheap bounds, so their cotangents go there.
  const lower = await stageArray(run, step, 'left ∂lower', size);
  const upper = await stageArray(run, step, 'left ∂upper', size);
  await run.compute(programs.rest, { rank, ...cotangents }, { 'left ∂lower': lower, 'left ∂upper': upper });
  await run.addGradient(gradientName(cheap.lower), lower);
  await run.addGradient(gradientName(cheap.upper), upper);
}

export const runRowsOnDevice = (run: Run, step: RowsStep): Promise<void> =>
  step.reverse ? pullBack(run, step) : refine(run, step);
