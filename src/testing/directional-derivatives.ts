/**
 * Gradients of losses of bounds held against differences of their values along random directions, kinks and
 * jumps counted apart.
 */
import { expect } from 'vitest';
import type { PlanResult } from '../runtime/execution/executor.js';
import type { Stage } from '../runtime/plan/plan.js';
import { type Feeds, runStages } from './bound-programs.js';
import { normalNumbers } from './numbers.js';

const STEP = 1e-6;

/**
 * Expects ∂loss/∂parameters of the stages' output `loss` to be its slope along `directions` random ones, in
 * float64. Where the slopes to both sides differ by more than a thousandth there is a kink or a jump between,
 * and nothing to compare.
 */
export async function compareDerivatives(
  stages: readonly Stage[],
  parameters: Readonly<Record<string, Float64Array>>,
  feeds: Feeds,
  seed: number,
  directions = 3,
): Promise<{ compared: number; kinks: number }> {
  const names = Object.keys(parameters);
  const along = Array.from({ length: directions }, (_, d) =>
    names.map((name) => normalNumbers(`${name} direction ${d} ${seed}`, parameters[name]?.length as number)),
  );
  const moved = (direction: readonly Float64Array[], step: number): Feeds => ({
    ...feeds,
    ...Object.fromEntries(
      names.map((name, k) => [
        name,
        (parameters[name] as Float64Array).map((p, i) => p + step * (direction[k]?.[i] as number)),
      ]),
    ),
  });
  const [at] = (await runStages(stages, [{ ...feeds, ...parameters }], names)) as [PlanResult];
  const values = await runStages(
    stages,
    along.flatMap((direction) => [moved(direction, STEP), moved(direction, -STEP)]),
  );
  const loss = at.outputs.loss?.[0] as number;
  let kinks = 0;
  along.forEach((direction, d) => {
    const above = ((values[2 * d]?.outputs.loss?.[0] as number) - loss) / STEP;
    const below = (loss - (values[2 * d + 1]?.outputs.loss?.[0] as number)) / STEP;
    const size = 1 + Math.abs(above) + Math.abs(below);
    const bend = Math.abs(above - below) / size;
    if (bend > 1e-3) {
      kinks++;
      return;
    }
    const slope = names.reduce(
      (sum, _, k) =>
        (at.gradients[k] as Float64Array).reduce(
          (part, g, i) => part + g * (direction[k]?.[i] as number),
          sum,
        ),
      0,
    );
    expect(
      Math.abs(slope - (above + below) / 2) / size,
      `slope ${slope}, differences ${above} and ${below}`,
    ).toBeLessThan(1e-6 + bend);
  });
  return { compared: directions - kinks, kinks };
}
