/**
 * Runs a rows stage, or its derivative, where bounds stay on the device: programs choose the rows, and only
 * how many there are comes back.
 */
import { sizeOf } from '../../graph/tensor.js';
import type { DeviceArray } from '../device/array.js';
import { gradientName, type RowsStep } from '../plan/plan.js';
import { zeroName } from './gradient-sums.js';
import { type ChosenRows, rowPrograms } from './row-programs.js';
import { chunks } from './row-selection.js';
import { residualsOf } from './rows-on-host.js';
import type { Floats, Run } from './run.js';
import type { ProgramArrays } from './session.js';

type Bounds = { readonly lower: DeviceArray; readonly upper: DeviceArray };

/** What `select` and `merge` write: a stage has its own arrays for them. */
const ownName = (step: RowsStep, what: string): string => `${what} of ${step.rows.refined.lower}`;

async function choose(run: Run, step: RowsStep): Promise<{ chosen: ChosenRows; bounds: Bounds }> {
  const { arrays, own, compute, chosen } = run;
  const { cheap, refined, shape, members = 1 } = step.rows;
  const size = members * sizeOf(shape);
  const [lower, upper] = [arrays.get(cheap.lower), arrays.get(cheap.upper)] as [
    DeviceArray | Floats,
    DeviceArray | Floats,
  ];
  const lengthOf = (data: DeviceArray | Floats) => ('size' in data ? data.size : data.length);
  const shared = { lower: lengthOf(lower) < size, upper: lengthOf(upper) < size };
  const programs = run.remember(`rows ${refined.lower} ${shared.lower} ${shared.upper}`, (id) =>
    rowPrograms(id, step.rows, shared),
  );
  const place = async (name: string, length = size, dtype: 'float32' | 'int32' = 'float32') =>
    (await own(ownName(step, name), dtype, length)) as DeviceArray;
  const into: Record<string, DeviceArray> = {
    order: await place('order', members * programs.orderSize),
    rank: await place('rank', size, 'int32'),
  };
  if (shared.lower) into['own lower'] = await place('own lower');
  if (shared.upper) into['own upper'] = await place('own upper');
  const { count } = await compute(programs.select, { lower, upper }, into);
  const made: ChosenRows = {
    programs,
    rank: into.rank as DeviceArray,
    order: into.order as DeviceArray,
    count: count as Float32Array,
  };
  chosen.set(refined.lower, made);
  return {
    chosen: made,
    bounds: {
      lower: into['own lower'] ?? (lower as DeviceArray),
      upper: into['own upper'] ?? (upper as DeviceArray),
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
  start: number,
  rows: number,
): Promise<ProgramArrays> {
  const members = step.rows.members ?? 1;
  const chunk = run.plan.wrt.length > 0 ? `${start} ${rows}` : `${rows}`;
  const names = ['channel', 'place', 'position'] as const;
  const into: Record<string, DeviceArray> = {};
  for (const name of names)
    into[name] = (await run.own(ownName(step, `${name} ${chunk}`), 'int32', members * rows)) as DeviceArray;
  if (step.kind === 'rows')
    await run.compute(programs.indices(rows), { order, count, start: Int32Array.of(start) }, into);
  return into;
}

async function refine(run: Run, step: RowsStep): Promise<void> {
  const { arrays, compute, own } = run;
  const { refined, members = 1, shape } = step.rows;
  const { chosen, bounds: cheap } = await choose(run, step);
  const place = async (name: string, size: number) =>
    (await own(ownName(step, name), 'float32', size)) as DeviceArray;
  let bounds = cheap;
  for (const [turn, { start, rows, program }] of chunks(Math.max(...chosen.count), step.programs).entries()) {
    const indices = await indicesOf(run, step, chosen, start, rows);
    const made = {
      lower: await place(`row lower ${rows}`, members * rows),
      upper: await place(`row upper ${rows}`, members * rows),
    };
    const residuals = await residualsOf(run, program, `${refined.lower} ${start} ${rows}`, false);
    await run.call(program, indices, { ...residuals, ...made });
    const next = {
      lower: await place(`lower ${turn % 2}`, members * sizeOf(shape)),
      upper: await place(`upper ${turn % 2}`, members * sizeOf(shape)),
    };
    const feeds = {
      ...bounds,
      rank: chosen.rank,
      start: Int32Array.of(start),
      'row lower': made.lower,
      'row upper': made.upper,
    };
    await compute(chosen.programs.merge(rows), feeds, {
      'merged lower': next.lower,
      'merged upper': next.upper,
    });
    bounds = next;
  }
  arrays.set(refined.lower, bounds.lower);
  arrays.set(refined.upper, bounds.upper);
}

async function pullBack(run: Run, step: RowsStep): Promise<void> {
  const { arrays, compute, own, sums } = run;
  const { refined, cheap, passThrough, members = 1, shape } = step.rows;
  const names = { lower: gradientName(refined.lower), upper: gradientName(refined.upper) };
  // Nothing downstream depends on these bounds.
  if (!arrays.has(names.lower) && !arrays.has(names.upper)) return;
  const chosen = run.chosen.get(refined.lower) as ChosenRows;
  const { programs, count, rank } = chosen;
  const place = async (name: string, size: number) =>
    (await own(ownName(step, name), 'float32', size)) as DeviceArray;
  const size = members * sizeOf(shape);
  const cotangent = async (name: string) =>
    (arrays.get(name) ?? (await own(zeroName(size), 'float32', size))) as DeviceArray;
  const cotangents = {
    [gradientName('lower')]: await cotangent(names.lower),
    [gradientName('upper')]: await cotangent(names.upper),
  };
  for (const { start, rows, program } of step.programs.length === 0
    ? []
    : chunks(Math.max(...count), step.programs)) {
    const indices = await indicesOf(run, step, chosen, start, rows);
    const [lower, upper] = [
      await place(`row ∂lower ${rows}`, members * rows),
      await place(`row ∂upper ${rows}`, members * rows),
    ];
    const feeds = {
      ...cotangents,
      position: indices.position as DeviceArray,
      count,
      start: Int32Array.of(start),
    };
    await compute(programs.pick(rows), feeds, { 'row ∂lower': lower, 'row ∂upper': upper });
    const residuals = await residualsOf(run, program, `${refined.lower} ${start} ${rows}`, true);
    await run.call(program, {
      ...indices,
      ...residuals,
      [gradientName('lower')]: lower,
      [gradientName('upper')]: upper,
    });
  }
  if (!passThrough) return;
  // Neurons without a row kept the cheap bounds, so their cotangents go there.
  const left = { lower: await place('left ∂lower', size), upper: await place('left ∂upper', size) };
  await compute(
    programs.rest,
    { rank, ...cotangents },
    { 'left ∂lower': left.lower, 'left ∂upper': left.upper },
  );
  await sums.add(gradientName(cheap.lower), left.lower);
  await sums.add(gradientName(cheap.upper), left.upper);
}

export const runRowsThere = (run: Run, step: RowsStep): Promise<void> =>
  step.kind === 'rows' ? refine(run, step) : pullBack(run, step);
