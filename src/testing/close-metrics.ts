/** Metrics to compare others with: parts of the loss are the same but for rounding in float32. */
import { expect } from 'vitest';

export const closeTo = (metrics: Readonly<Record<string, number>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, expect.closeTo(value, 4)]));
