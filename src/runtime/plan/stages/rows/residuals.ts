/** Values that a rows stage's forward run stores for its derivative. */
import { type HostData, sizeOf } from '../../../../graph/tensor.js';
import type { DeviceArray } from '../../../device/array.js';
import type { Run } from '../../run.js';
import { isResidual } from '../../step.js';
import type { Chunk } from './selection.js';
import type { RowsStep } from './stage.js';

/** Arrays for the residuals of a chunk, by name: written forwards, read backwards. */
export async function residualsOf(
  run: Run,
  { rows: { refined }, reverse }: RowsStep,
  { program, start, rows }: Chunk,
): Promise<Record<string, HostData | DeviceArray>> {
  const encoded = run.plan.programs[program];
  const residuals: Record<string, HostData | DeviceArray> = {};
  for (const { name, shape, dtype } of (reverse ? encoded?.inputs : encoded?.outputs) ?? [])
    if (isResidual(name))
      residuals[name] = await run.planArray(
        `${name} of ${refined.lower} ${start} ${rows}`,
        dtype,
        sizeOf(shape),
      );
  return residuals;
}
