/**
 * Runs a rows stage, or its derivative, with rows chosen by the host: the bounds of the neurons that cheaper
 * bounds leave unstable.
 */
import { remembered } from '../../../../graph/remembered.js';
import { hostArray, sizeOf } from '../../../../graph/tensor.js';
import type { Floats, Run } from '../../run.js';
import { gradientName } from '../../step.js';
import { chunks, ofMembers, rowIndices, selectRows } from './selection.js';
import type { RowsData, RowsStep } from './stage.js';

/** The rows of each member; a stage and its derivative run the same. */
const selections = remembered<Run, Int32Array[]>();

/** Numbers of one bound of all members. */
const boundsSize = ({ members = 1, shape }: RowsData): number => members * sizeOf(shape);

const longest = (selection: readonly Int32Array[]): number =>
  Math.max(...selection.map(({ length }) => length));

function selectionOf(run: Run, data: RowsData): Int32Array[] {
  const cheap = (name: string) => ofMembers(run.arrays.get(name) as Floats, boundsSize(data));
  return selections(run, data.refined.lower, () =>
    selectRows(cheap(data.cheap.lower), cheap(data.cheap.upper), data),
  );
}

/** The refined bounds: the cheap ones, but for neurons with a row. */
async function refine(run: Run, step: RowsStep): Promise<void> {
  const { rows: data, programs } = step;
  const { refined, cheap } = data;
  const selection = selectionOf(run, data);
  const copy = (name: string) => ofMembers(run.arrays.get(name) as Floats, boundsSize(data)).slice();
  const [lower, upper] = [copy(cheap.lower), copy(cheap.upper)];
  run.arrays.set(refined.lower, lower).set(refined.upper, upper);
  for (const chunk of chunks(longest(selection), programs)) {
    const { from, to, ...indices } = rowIndices(selection, chunk.start, chunk.rows, data);
    const bounds = await run.call(chunk.program, indices);
    const [rowLower, rowUpper] = [bounds.lower as Floats, bounds.upper as Floats];
    for (let i = 0; i < from.length; i++) {
      const [at, row] = [from[i] as number, to[i] as number];
      lower[at] = rowLower[row] as number;
      upper[at] = rowUpper[row] as number;
    }
  }
}

/** Cotangents of the refined bounds to those of what rows read, and of the cheap bounds. */
async function pullBack(run: Run, step: RowsStep): Promise<void> {
  const { rows: data, programs } = step;
  const { refined, cheap, dtype, members = 1, shape } = data;
  const names = { lower: gradientName(refined.lower), upper: gradientName(refined.upper) };
  if (!run.arrays.has(names.lower) && !run.arrays.has(names.upper)) return; // nothing depends on these bounds
  const selection = selectionOf(run, data);
  const cotangent = (name: string) => (run.arrays.get(name) ?? hostArray(dtype, boundsSize(data))) as Floats;
  const [lower, upper] = [cotangent(names.lower), cotangent(names.upper)];
  // Bounds that nothing depends on need no rows: of a stable neuron, say, and of one behind it.
  const asked = selection.map((chosen, member) => {
    const base = member * sizeOf(shape);
    return chosen.filter((at) => lower[base + at] !== 0 || upper[base + at] !== 0);
  });
  for (const chunk of programs.length === 0 ? [] : chunks(longest(asked), programs)) {
    const { from, to, ...indices } = rowIndices(asked, chunk.start, chunk.rows, data);
    const ofRows = (all: Floats) => {
      const values = hostArray(dtype, members * chunk.rows) as Floats;
      for (let i = 0; i < from.length; i++) values[to[i] as number] = all[from[i] as number] as number;
      return values;
    };
    const cotangents = { [gradientName('lower')]: ofRows(lower), [gradientName('upper')]: ofRows(upper) };
    await run.call(chunk.program, { ...indices, ...cotangents });
  }
  if (!data.passThrough) return;
  // Neurons without a row have the cheap bounds, so their cotangents go there.
  for (const [member, chosen] of selection.entries())
    for (const at of chosen) {
      lower[member * sizeOf(shape) + at] = 0;
      upper[member * sizeOf(shape) + at] = 0;
    }
  await run.addGradient(gradientName(cheap.lower), lower);
  await run.addGradient(gradientName(cheap.upper), upper);
}

export const runRowsOnHost = (run: Run, step: RowsStep): Promise<void> =>
  step.reverse ? pullBack(run, step) : refine(run, step);
