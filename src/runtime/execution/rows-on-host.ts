/**
 * Runs a rows stage, or its derivative, on the host's side: the bounds of the neurons that cheaper bounds
 * leave unstable.
 */
import { type HostData, hostArray, sizeOf } from '../../graph/tensor.js';
import type { DeviceArray } from '../device/array.js';
import { gradientName, isResidual, type RowsStep } from '../plan/plan.js';
import { chunks, ofMembers, rowIndices, selectRows } from './row-selection.js';
import type { Floats, Run } from './run.js';

/**
 * Arrays for the residuals of one run of a rows program, by name: what is written forwards is read backwards.
 */
export async function residualsOf(
  { plan, own }: Run,
  program: number,
  run: string,
  reverse: boolean,
): Promise<Record<string, HostData | DeviceArray>> {
  const encoded = plan.programs[program];
  const residuals: Record<string, HostData | DeviceArray> = {};
  for (const { name, shape, dtype } of (reverse ? encoded?.inputs : encoded?.outputs) ?? [])
    if (isResidual(name)) residuals[name] = await own(`${name} of ${run}`, dtype, sizeOf(shape));
  return residuals;
}

export async function runRows(run: Run, step: RowsStep): Promise<void> {
  const { arrays, sums, selections } = run;
  const { rows: data } = step;
  const { refined, cheap, dtype } = data;
  const members = data.members ?? 1;
  const size = sizeOf(data.shape);
  const reverse = step.kind === 'rows-gradient';
  const cheapBound = (name: string) => ofMembers(arrays.get(name) as Floats, members * size);
  const selection = reverse
    ? (selections.get(refined.lower) as Int32Array[])
    : selectRows(cheapBound(cheap.lower), cheapBound(cheap.upper), data);
  if (!reverse) {
    selections.set(refined.lower, selection);
    arrays.set(refined.lower, cheapBound(cheap.lower).slice());
    arrays.set(refined.upper, cheapBound(cheap.upper).slice());
  }
  const names = reverse
    ? { lower: gradientName(refined.lower), upper: gradientName(refined.upper) }
    : refined;
  // Nothing downstream depends on these bounds.
  if (!arrays.has(names.lower) && !arrays.has(names.upper)) return;
  const bound = (name: string) => (arrays.get(name) ?? hostArray(dtype, members * size)) as Floats;
  const lower = bound(names.lower);
  const upper = bound(names.upper);
  const longest = Math.max(...selection.map(({ length }) => length));
  for (const { start, rows, program } of reverse && step.programs.length === 0
    ? []
    : chunks(longest, step.programs)) {
    const { from, to, ...indices } = rowIndices(selection, start, rows, data);
    const residuals = await residualsOf(run, program, `${refined.lower} ${start} ${rows}`, reverse);
    if (reverse) {
      const cotangent = (all: Floats) => {
        const values = hostArray(dtype, members * rows) as Floats;
        for (let i = 0; i < from.length; i++) values[to[i] as number] = all[from[i] as number] as number;
        return values;
      };
      const cotangents = {
        [gradientName('lower')]: cotangent(lower),
        [gradientName('upper')]: cotangent(upper),
      };
      await run.call(program, { ...indices, ...residuals, ...cotangents });
      continue;
    }
    const made = await run.call(program, indices, residuals);
    const newLower = made.lower as Floats;
    const newUpper = made.upper as Floats;
    for (let i = 0; i < from.length; i++) {
      const [at, row] = [from[i] as number, to[i] as number];
      lower[at] = newLower[row] as number;
      upper[at] = newUpper[row] as number;
    }
  }
  if (reverse && data.passThrough) {
    // Neurons without a row kept the cheap bounds, so their cotangents go there.
    for (const [member, chosen] of selection.entries())
      for (const at of chosen) {
        lower[member * size + at] = 0;
        upper[member * size + at] = 0;
      }
    await sums.add(gradientName(cheap.lower), lower);
    await sums.add(gradientName(cheap.upper), upper);
  }
}
