import { describe, expect, it } from 'vitest';
import { runProgram } from '../../testing/operator-check.js';
import { evaluate } from '../evaluate.js';
import { gradient } from '../gradient.js';
import { add, mul } from './arithmetic.js';
import { total } from './broadcasting.js';
import { input } from './leaves.js';
import { isStopGradient, stopGradient } from './stop-gradient.js';

describe('stopGradient', () => {
  const x = input('x', [3], 'float64');
  const feeds = { x: [2, -3, 5] };

  it('has the value of x and no derivative: ∂(stop(x)·x + x²)/∂x = x + 2x', async () => {
    const stopped = stopGradient(x);
    const y = add(mul(stopped, x), mul(x, x));
    const [dx] = gradient(total(y), [x]);
    expect(evaluate([stopped, dx as typeof x], feeds).map((v) => [...v])).toEqual([
      [2, -3, 5],
      [6, -9, 15],
    ]);
    const made = await runProgram({ y, dx: dx as typeof x }, feeds);
    expect([...(made.dx ?? [])]).toEqual([6, -9, 15]);
    expect([...(made.y ?? [])]).toEqual([8, 18, 50]);
  });

  it('gives zeros where x is reached through it alone', () => {
    expect(isStopGradient(stopGradient(x))).toBe(true);
    const [dx] = gradient(total(mul(stopGradient(x), 2)), [x]);
    expect([...(evaluate([dx as typeof x], feeds)[0] as Float64Array)]).toEqual([0, 0, 0]);
  });
});
