/** Runs a rows stage in the row kernel, or its derivative: the same bounds as `rows-on-host.ts`. */
import { type HostData, hostArray, sizeOf } from '../../graph/tensor.js';
import { kernelBounds, kernelGradients } from '../kernels/row-kernel.js';
import { gradientName } from '../plan/plan.js';
import type { RowKernelStep } from '../plan/row-kernel-stage.js';
import { selectRows } from './row-selection.js';
import type { Floats, Run } from './run.js';

/** The numbers at some positions of an array, or zeros. */
function taken(array: HostData | undefined, positions: Int32Array, dtype: 'float32' | 'float64'): Floats {
  const values = hostArray(dtype, positions.length) as Floats;
  if (array !== undefined)
    for (let i = 0; i < positions.length; i++) values[i] = array[positions[i] as number] as number;
  return values;
}

/** A copy of an array with other numbers at some positions. */
function replaced(array: Floats, positions: Int32Array, values: ArrayLike<number>): Floats {
  const copy = array.slice();
  for (let i = 0; i < positions.length; i++) copy[positions[i] as number] = values[i] as number;
  return copy;
}

function valuesOf(run: Run, { rows }: RowKernelStep): void {
  const { arrays, selections } = run;
  const { chain, cheap, refined, dtype } = rows;
  const [cheapLower, cheapUpper] = [arrays.get(cheap.lower) as Floats, arrays.get(cheap.upper) as Floats];
  const chosen = selectRows(cheapLower, cheapUpper, rows)[0] as Int32Array;
  const [lower, upper] = [0, 1].map(() => hostArray(dtype, chosen.length)) as [Floats, Floats];
  const read = rows.arrays.map((name) => arrays.get(name) as Floats);
  kernelBounds({ chain, arrays: read, rows: chosen }, lower, upper);
  selections.set(refined.lower, [chosen]);
  arrays.set(refined.lower, replaced(cheapLower, chosen, lower));
  arrays.set(refined.upper, replaced(cheapUpper, chosen, upper));
}

export async function runRowKernel(run: Run, step: RowKernelStep): Promise<void> {
  if (step.kind === 'row-kernel') return valuesOf(run, step);
  const { arrays, sums, selections } = run;
  const { chain, cheap, refined, dtype, shape } = step.rows;
  const [fromLower, fromUpper] = [refined.lower, refined.upper].map((name) => arrays.get(gradientName(name)));
  if (fromLower === undefined && fromUpper === undefined) return; // nothing depends on these bounds
  const chosen = selections.get(refined.lower)?.[0] as Int32Array;
  const lower = taken(fromLower as HostData | undefined, chosen, dtype);
  const upper = taken(fromUpper as HostData | undefined, chosen, dtype);
  const wanted = new Set(step.wanted);
  const gradients: (Floats | undefined)[] = [];
  for (const [i, name] of step.rows.arrays.entries())
    gradients.push(
      wanted.has(name)
        ? ((await sums.next(gradientName(name), dtype, chain.sizes[i] as number)).into as Floats)
        : undefined,
    );
  const read = step.rows.arrays.map((name) => arrays.get(name) as Floats);
  if (wanted.size > 0) kernelGradients({ chain, arrays: read, rows: chosen }, lower, upper, gradients);
  if (!step.passThrough) return;
  // Neurons without a row kept the cheap bounds, so their cotangents go there.
  const none = new Float64Array(chosen.length);
  for (const [name, cotangent] of [
    [cheap.lower, fromLower],
    [cheap.upper, fromUpper],
  ] as const)
    await sums.add(
      gradientName(name),
      replaced((cotangent ?? hostArray(dtype, sizeOf(shape))) as Floats, chosen, none),
    );
}
